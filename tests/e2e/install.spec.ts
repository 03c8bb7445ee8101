// The packaged extension in a real VS Code, before anything is provisioned.
import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { Host, root } from "./host";
import type { Window } from "./window";

describe("the extension, installed from its .vsix", () => {
  let host: Host;
  let window: Window;
  const scratch = mkdtempSync(path.join(realpathSync(tmpdir()), "sw-install-"));
  const folder = path.join(scratch, "project");
  const asked = path.join(scratch, "sign-ins.jsonl");
  const signIns = (): readonly Readonly<Record<string, unknown>>[] =>
    readFileSync(asked, "utf8").trim().split("\n").map((line) => JSON.parse(line) as Record<string, unknown>);

  before(async () => {
    host = await Host.start({ extensions: [path.join(root, "tests/e2e/sign-in")], env: { SLIPWAY_TEST_SIGN_INS: asked } });
    mkdirSync(path.join(folder, "infra"), { recursive: true });
    writeFileSync(path.join(folder, "infra/inference.config.json"), JSON.stringify({ ACA_APP_NAME: null }));
    window = await host.open(folder);
  });
  after(async () => {
    await host.stop();
    rmSync(scratch, { recursive: true, force: true });
  });
  afterEach(async function () {
    await host.keepEvidence(this.currentTest);
  });

  it("offers the documented commands, word for word", async () => {
    const offered = await window.offered("AI Toolkit:", "palette");
    for (const title of ["Provision Azure Container Apps for inference", "Deploy for inference"]) {
      assert.ok(offered.includes(`AI Toolkit: ${title}`), `${title} is not among ${offered.join(", ")}`);
    }
  });

  it("hides the commands that need an endpoint while there is none", async () => {
    const offered = await window.offered("AI Toolkit:");
    for (const title of ["Go to Inference Endpoint", "Show API key", "Refresh"]) {
      assert.ok(!offered.includes(`AI Toolkit: ${title}`), `${title} is offered`);
    }
  });

  it("welcomes with a button that provisions", async () => {
    const view = await window.showView();
    await view.getByRole("button", { name: "Provision Azure Container Apps for inference" }).waitFor();
    await window.screenshot("welcome");
  });

  it("has an output channel named Slipway", async () => {
    await window.run("AI Toolkit: Show log");
    const panel = window.page.locator(".part.panel");
    await panel.waitFor();
    await panel.getByText("Output", { exact: false }).first().waitFor();
    await window.screenshot("log");
  });

  it("is silent until it is asked: no notification", async () => {
    assert.equal(await window.notifications.count(), 0);
  });

  it("says so when no folder is open", async () => {
    const empty = await host.open();
    await empty.run("AI Toolkit: Deploy for inference");
    await empty.notification("No folder is open").getByRole("button", { name: "Open Folder" }).waitFor({ timeout: 30_000 });
    await empty.screenshot("no folder");
    await empty.close();
  });

  it("makes its private Python environment at the first command, showing what it does", async () => {
    await window.run("AI Toolkit: Provision Azure Container Apps for inference");
    await window.notification("preparing its Python packages").waitFor({ timeout: 30_000 });
    await window.screenshot("python packages");
    await window.dialog.waitFor({ timeout: 90_000 });
    assert.equal(await window.notification("preparing its Python packages").count(), 0);
    const [environment, ...others] = readdirSync(path.join(host.globalStorage, "environments"));
    assert.match(environment ?? "", /^[0-9a-f]{16}-py3\./);
    assert.deepEqual(others, []);
  });

  it("offers the project files that the folder lacks, and creates them", async () => {
    await window.dialog.getByText("has no infra/provision/inference.bicep").waitFor();
    await window.screenshot("create project files");
    await window.answer("Create project files");
    await window.question.filter({ hasText: "Provision Azure Container Apps for inference (1/2)" }).waitFor({ timeout: 30_000 });
    for (const file of ["infra/provision/inference.bicep", "infra/provision/inference.parameters.json", "inference/__main__.py"]) {
      assert.ok(existsSync(path.join(folder, file)), file);
    }
    assert.deepEqual(JSON.parse(readFileSync(path.join(folder, "infra/inference.config.json"), "utf8")), { ACA_APP_NAME: null }, "a file that exists was changed");
  });

  it("offers Azure beside the local cloud, and signs in only when asked to", async () => {
    await window.choices("Sign in to Azure…").waitFor({ timeout: 30_000 });
    await window.choices("Runs on this machine").waitFor({ timeout: 60_000 });
    await window.screenshot("subscriptions");
    assert.deepEqual(signIns().filter((each) => "signedIn" in each), []);
    await window.choose("Sign in to Azure…");
    await window.answer("Allow");
    await window.choices("Runs on this machine").waitFor({ timeout: 60_000 });
    assert.deepEqual(signIns().filter((each) => "signedIn" in each), [{ signedIn: ["https://management.azure.com/.default"] }]);
    await window.page.keyboard.press("Escape");
  });

  it("keeps tokens out of its log", () => {
    assert.match(window.log, /Sidecar started/);
    assert.doesNotMatch(window.log, /e30\.|dGVzdA/);
  });
});
