// Which compiler is started in a real VS Code, and which one's words are shown: in a folder that is not trusted none is, and what
// Microsoft's Bicep extension (a stand-in for it) tells already is not told twice.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { eventually } from "./eventually";
import { fineTuningBegan } from "./finetuning";
import { Host, root } from "./host";

const TEMPLATE = "infra/provision/inference.bicep";
const python = path.join(root, ".venv/bin/python");
const shipped = readFileSync(path.join(root, TEMPLATE), "utf8");
const settings = { "slipway.python.path": python, "slipway.python.importStrategy": "fromEnvironment" };

describe("which compiler a real VS Code starts", function () {
  this.timeout(300_000);
  let scratch: string;
  let host: Host;

  beforeEach(() => {
    scratch = mkdtempSync(path.join(realpathSync(tmpdir()), "sw-compilers-"));
  });
  afterEach(async function () {
    await host.keepEvidence(this.currentTest);
    await host.stop();
    rmSync(scratch, { recursive: true, force: true });
  });

  function project(text: string): string {
    const made = path.join(scratch, "project");
    cpSync(path.join(root, "infra"), path.join(made, "infra"), { recursive: true, filter: (file) => !/\.py$|inference\.json$/.test(file) });
    writeFileSync(path.join(made, TEMPLATE), text);
    return made;
  }
  function placed(folder: string): void {
    const place = fineTuningBegan("rg-compilers", host.env);
    writeFileSync(path.join(folder, "infra/finetuning.config.json"), JSON.stringify({ ...place, STORAGE_ACCOUNT_NAME: null, FILE_SHARE_NAME: null, ACA_JOB_NAME: null, COMMANDS: null }));
  }
  /** A stand-in for Microsoft's CLI; a line of its log for each start. */
  function cli(folder: string): string {
    const made = spawnSync(python, ["-c", "import sys\nfrom pathlib import Path\nfrom tests.support.bicep_standin import standin\nstandin(Path(sys.argv[1]))", folder], { cwd: root, encoding: "utf8" });
    assert.equal(made.status, 0, made.stderr);
    return path.join(folder, "bicep.log");
  }

  it("in a folder that is not trusted none; once it is, the one on PATH, and never the one that the folder names", async () => {
    const folder = project(shipped.replace("param baseModel string = ''", "param baseModel string = nobody"));
    const [found, named] = [cli(path.join(scratch, "bin")), cli(path.join(folder, "tools"))];
    mkdirSync(path.join(folder, ".vscode"));
    writeFileSync(path.join(folder, ".vscode/settings.json"), JSON.stringify({ "slipway.bicep.path": path.join(folder, "tools/bicep") }));
    host = await Host.start({ settings, trust: "asks", env: { PATH: `${path.join(scratch, "bin")}${path.delimiter}${process.env["PATH"] ?? ""}` } });
    placed(folder);
    const window = await host.open(folder);
    await window.answer("No, I don't trust the authors");
    await window.page.keyboard.press("Control+P");
    await window.page.locator(".quick-input-widget .quick-input-box input").fill(path.join(folder, TEMPLATE));
    await window.choose("inference.bicep");
    await window.page.locator(".tabs-container .tab.active", { hasText: "inference.bicep" }).waitFor();
    for (const title of ["Check inference set-up", "Provision Azure Container Apps for inference"]) {
      await window.clearNotifications();
      await window.run(`AI Toolkit: ${title}`);
      await window.notification("This folder is not trusted").waitFor({ timeout: 90_000 });
    }
    assert.deepEqual([found, named].filter(existsSync), [], "no compiler was started");
    assert.doesNotMatch(window.log, /[Bb]icep CLI/, "and nobody asked for one");
    await window.screenshot("compilers 1 not trusted");
    await window.run("Workspaces: Manage Workspace Trust");
    await window.page.locator(".workspace-trust-editor").getByRole("button", { name: "Trust", exact: true }).click();
    await window.clearNotifications();
    await window.run("AI Toolkit: Check inference set-up");
    for (const each of ["Runs on this machine", "rg-compilers"]) await window.choose(each);
    await window.notification("BCP057").waitFor({ timeout: 120_000 });
    await eventually("the one on PATH was started", 60_000, () => existsSync(found));
    assert.equal(existsSync(named), false, "a folder does not name programs");
  });

  it("what Microsoft's Bicep extension tells at the same place is told once, by that one", async () => {
    const source = shipped.replace("param baseModel string = ''", "param baseModel string = nobody");
    const line = source.slice(0, source.indexOf("= nobody")).split("\n").length;
    host = await Host.start({ settings, extensions: [microsofts(line, source.split("\n")[line - 1]?.indexOf("nobody") ?? 0)] });
    const window = await host.open(project(source));
    await window.page.keyboard.press("Control+P");
    await window.page.locator(".quick-input-widget .quick-input-box input").fill(path.join(scratch, "project", TEMPLATE));
    await window.choose("inference.bicep");
    await window.run("Problems: Focus on Problems View");
    const rows = window.page.locator(".markers-panel .monaco-list-row[aria-level='2']").filter({ hasText: `[Ln ${line}, Col ` });
    const theirs = rows.filter({ hasText: "told by the stub" });
    await rows.first().waitFor({ timeout: 90_000 });
    assert.deepEqual([await rows.count(), await theirs.count()], [1, 0], "ours alone");
    await window.screenshot("compilers 2 ours");
    await window.run("Stub: Tell");
    await theirs.waitFor({ timeout: 90_000 });
    await eventually("ours has gone", 90_000, async () => (await rows.count()) === 1);
    assert.equal(await theirs.count(), 1);
    await window.screenshot("compilers 3 theirs");
    await window.run("Stub: Take Back");
    await eventually("ours is told again", 90_000, async () => (await rows.count()) === 1 && (await theirs.count()) === 0);
  });

  /** An extension of Microsoft's name that tells BCP057 at that place, when it is told to. */
  function microsofts(line: number, column: number): string {
    const folder = path.join(scratch, "ms-azuretools.vscode-bicep-0.0.1");
    mkdirSync(folder);
    const commands = [{ command: "stub.tell", title: "Stub: Tell" }, { command: "stub.back", title: "Stub: Take Back" }];
    writeFileSync(path.join(folder, "package.json"), JSON.stringify({ name: "vscode-bicep", publisher: "ms-azuretools", version: "0.0.1", engines: { vscode: "^1.90.0" }, main: "./main.js", contributes: { commands } }));
    writeFileSync(path.join(folder, "main.js"), `
      const vscode = require("vscode");
      exports.activate = () => {
        const told = vscode.languages.createDiagnosticCollection("bicep");
        const at = new vscode.Range(${line - 1}, ${column}, ${line - 1}, ${column + 6});
        vscode.commands.registerCommand("stub.back", () => told.clear());
        vscode.commands.registerCommand("stub.tell", () => {
          const document = vscode.workspace.textDocuments.find((each) => each.fileName.endsWith("inference.bicep"));
          told.set(document.uri, [Object.assign(new vscode.Diagnostic(at, "told by the stub"), { source: "bicep", code: "BCP057" })]);
        });
      };`);
    return folder;
  }
});
