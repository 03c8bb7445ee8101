// What costs time and disk is asked for first; with an interpreter that has the packages already, and the local cloud alone.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { PACKAGES_ARE_THERE } from "./deployed";
import { eventually } from "./eventually";
import type { Host } from "./host";
import { Stage } from "./stage";
import type { Window } from "./window";

describe("consents", () => {
  const stage = Stage.of("consent");
  let folder: string;
  let cache: string;
  let host: Host;
  let window: Window;

  before(async () => {
    folder = stage.project("project");
    cache = path.join(stage.scratch, "cache");
    host = await stage.start({ settings: PACKAGES_ARE_THERE, env: { SLIPWAY_CACHE: cache } });
    window = await host.open(folder);
  });

  it("Provision offers the project files that the folder lacks", async () => {
    await window.run("AI Toolkit: Provision Azure Container Apps for inference");
    await window.dialog.getByText("has no infra/provision/inference.bicep").waitFor({ timeout: 120_000 });
    await window.screenshot("create project files");
    await window.answer("Create project files");
  });

  it("with the local cloud alone nobody is asked to sign in", async () => {
    await window.choices("Runs on this machine").waitFor({ timeout: 120_000 });
    assert.equal(await window.choices("Sign in to Azure…").count(), 0);
    await window.choose("Runs on this machine");
  });

  it("the download of the model server's environment is asked for, and declining it does nothing", async () => {
    await window.choose("Create new…");
    await window.question.filter({ hasText: "New resource group (1/2)" }).waitFor();
    await window.type("rg-consent");
    await window.choose("Sweden Central");
    await window.press("The plan is open", "Apply plan");
    await window.dialog.getByText("The local cloud runs the model server on this machine.").waitFor({ timeout: 120_000 });
    await window.screenshot("consent");
    await window.answer("Cancel");
    await window.dialog.waitFor({ state: "detached" });
    await eventually("no notification is left", 90_000, async () => (await window.notifications.count()) === 0);
    const config = JSON.parse(readFileSync(path.join(folder, "infra/inference.config.json"), "utf8")) as Readonly<Record<string, unknown>>;
    assert.ok(Object.values(config).every((value) => value === null));
    assert.equal(existsSync(path.join(cache, "images")), false);
  });

  it("the interpreter's own packages are used, and no private environment is made", () => {
    assert.match(window.log, /Sidecar started/);
    assert.equal(existsSync(path.join(host.globalStorage, "environments")), false);
  });
});
