// The packaged extension in a real VS Code, before anything is provisioned.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { type Host, root } from "./host";
import { Stage } from "./stage";
import type { Window } from "./window";

describe("the extension, installed from its .vsix", () => {
  const stage = Stage.of("install");
  let host: Host;
  let window: Window;

  before(async () => {
    const folder = stage.project("project");
    host = await stage.start();
    mkdirSync(path.join(folder, "infra"), { recursive: true });
    writeFileSync(path.join(folder, "infra/inference.config.json"), JSON.stringify({ ACA_APP_NAME: null }));
    window = await host.open(folder);
  });

  it("holds what it needs to run and nothing else", () => {
    const parts = readdirSync(host.extension).sort();
    assert.deepEqual(parts.filter((each) => !/^(\.vsixmanifest|changelog\.md|readme\.md|license\.txt|package(\.nls(\.[\w-]+)?)?\.json)$/i.test(each)), ["build", "extension", "inference", "infra", "sidecar"]);
    const files = readdirSync(host.extension, { recursive: true, encoding: "utf8" });
    assert.deepEqual(files.filter((each) => /node_modules|__pycache__|\.ts$|\.map$|test_/.test(each)), []);
    for (const file of ["build/dist/extension.js", "sidecar/requirements.txt", "sidecar/__main__.py", "inference/requirements.txt", "inference/requirements.lock", "infra/provision/inference.json"]) {
      assert.ok(existsSync(path.join(host.extension, file)), file);
    }
  });

  it("makes the same release of inference/ as the terminal does from the same version", () => {
    const python = path.join(root, ".venv", process.platform === "win32" ? "Scripts/python.exe" : "bin/python");
    const digest = (of: string): string => execFileSync(python, ["-c", "import sys; from pathlib import Path; from sidecar.core.codefiles import read_tree; from sidecar.core.sync import pack; print(pack(read_tree(Path(sys.argv[1])), Path(sys.argv[2])).digest)", of, path.join(root, "build", "install.tar")], { cwd: root, encoding: "utf8" });
    assert.equal(digest(path.join(host.extension, "inference")), digest(path.join(root, "inference")));
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

  it("is silent until it is asked: no notification, no process, no download", async () => {
    assert.equal(await window.notifications.count(), 0);
    assert.doesNotMatch(window.log, /Sidecar started/);
    assert.equal(existsSync(host.globalStorage), false);
  });

  it("says so when no folder is open", async () => {
    const empty = await host.open();
    await empty.run("AI Toolkit: Deploy for inference");
    await empty.notification("No folder is open").getByRole("button", { name: "Open Folder" }).waitFor({ timeout: 90_000 });
    await empty.screenshot("no folder");
    await empty.close();
  });
});
