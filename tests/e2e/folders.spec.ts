// Which folder a command works on: several of them, or one that is not trusted.
import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { Host } from "./host";

describe("folders", () => {
  let scratch: string;
  let host: Host;

  before(() => {
    scratch = mkdtempSync(path.join(realpathSync(tmpdir()), "sw-folders-"));
    for (const name of ["one", "two"]) mkdirSync(path.join(scratch, name, "infra"), { recursive: true });
    writeFileSync(path.join(scratch, "both.code-workspace"), JSON.stringify({ folders: ["one", "two"].map((name) => ({ path: path.join(scratch, name) })) }));
  });
  after(() => {
    rmSync(scratch, { recursive: true, force: true });
  });

  afterEach(async function () {
    await host.keepEvidence(this.currentTest);
    await host.stop();
  });

  it("a folder that is not trusted starts nothing, and leads to VS Code's own question", async () => {
    host = await Host.start({ trust: "asks" });
    const window = await host.open(path.join(scratch, "one"));
    await window.answer("No, I don't trust the authors");
    await window.run("AI Toolkit: Deploy for inference");
    await window.notification("This folder is not trusted").getByRole("button", { name: "Manage Workspace Trust" }).waitFor({ timeout: 90_000 });
    const view = await window.showView();
    await view.getByText("This folder is not trusted, so Slipway starts nothing in it").waitFor({ timeout: 30_000 });
    await view.getByRole("button", { name: "Manage Workspace Trust" }).waitFor();
    assert.equal(await view.getByRole("button", { name: "Provision Azure Container Apps for inference" }).count(), 0, "what can't be done is not offered");
    await window.screenshot("not trusted");
    assert.equal(existsSync(host.globalStorage), false);
  });

  it("of several folders the person picks one; an interpreter that can't be used is named, with what to do", async () => {
    host = await Host.start({ settings: { "slipway.python.path": path.join(scratch, "no-python") } });
    const window = await host.open(path.join(scratch, "both.code-workspace"));
    await window.showsFolder("two");
    await window.run("AI Toolkit: Deploy for inference");
    await window.choices("one").waitFor({ timeout: 90_000 });
    await window.screenshot("several folders");
    await window.choose("two");
    const failure = window.notification("The interpreter in the setting slipway.python.path can't be used");
    await failure.getByText("Give the path of Python 3.11 or newer").waitFor({ timeout: 90_000 });
    await window.screenshot("no interpreter");
    await failure.getByRole("button", { name: "Show log" }).click();
    await window.page.locator(".part.panel").getByText("no-python (not found)").waitFor({ timeout: 90_000 });
  });
});
