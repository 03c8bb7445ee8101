// F5's configuration: the extension from this checkout, by extensionDevelopmentPath, with the sidecar beside it.
import assert from "node:assert/strict";
import { cpSync, existsSync, readFileSync, realpathSync } from "node:fs";
import path from "node:path";
import { PACKAGES_ARE_THERE } from "./deployed";
import { eventually } from "./eventually";
import { type Host, root } from "./host";
import { Stage } from "./stage";
import type { Window } from "./window";

describe("the extension, run from the checkout", () => {
  const stage = Stage.of("f5");
  let host: Host;
  let window: Window;

  before(async () => {
    const settings = { ...PACKAGES_ARE_THERE, "slipway.trace.server": "verbose" };
    host = await stage.start({ settings, development: true });
  });

  it("is what launch.json starts: this checkout, on a folder that is there", () => {
    const launch = JSON.parse(readFileSync(path.join(root, ".vscode/launch.json"), "utf8")) as { readonly configurations: readonly { readonly name: string; readonly args?: readonly string[] }[] };
    const [development, folder] = launch.configurations.find(({ name }) => name === "Extension")?.args ?? [];
    assert.equal(development, "--extensionDevelopmentPath=${workspaceFolder}");
    assert.ok(folder !== undefined && existsSync(folder.replace("${workspaceFolder}", root)), folder);
    cpSync(folder.replace("${workspaceFolder}", root), path.join(stage.scratch, "workspace"), { recursive: true });
  });

  it("works there: its commands are offered, its sidecar is the checkout's", async () => {
    window = await host.open(path.join(stage.scratch, "workspace"));
    await window.run("AI Toolkit: Create project files");
    await window.notification("project files were created in workspace").waitFor({ timeout: 120_000 });
    await window.screenshot("f5");
    assert.ok(existsSync(path.join(stage.scratch, "workspace/infra/provision/inference.bicep")));
    await eventually("the sidecar runs where the checkout is", 90_000, () => realpathSync(`/proc/${window.sidecar}/cwd`) === realpathSync(root));
  });

  it("what passes between the two, tokens and keys among it, is in no log, not even at the level Trace", async () => {
    await window.run("Developer: Set Log Level...");
    await window.choose("Slipway");
    await window.choose("Trace");
    await window.run("AI Toolkit: Create project files");
    await window.notification("All project files are already there").waitFor({ timeout: 120_000 });
    assert.doesNotMatch(window.log, /Sending request|Received response|slipway\/init/);
  });
});
