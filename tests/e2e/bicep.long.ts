// A template that a person edits, in a real VS Code: with Microsoft's compiler (a stand-in for it), without one, and installed.
import assert from "node:assert/strict";
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { eventually } from "./eventually";
import { fineTuningBegan } from "./finetuning";
import { Host, root } from "./host";
import type { Window } from "./window";

const TEMPLATE = "infra/provision/inference.bicep";
const python = path.join(root, ".venv", process.platform === "win32" ? "Scripts/python.exe" : "bin/python");
const shipped = readFileSync(path.join(root, TEMPLATE), "utf8");

describe("an edited template in a real VS Code", function () {
  this.timeout(300_000);
  let scratch: string;
  let host: Host;
  let window: Window;
  let folder: string;
  let releases: ChildProcess | undefined;

  before(async () => {
    scratch = mkdtempSync(path.join(realpathSync(tmpdir()), "sw-bicep-"));
    releases = spawn(python, ["-m", "tests.support.bicep_releases", path.join(scratch, "released"), path.join(scratch, "url")], { cwd: root, stdio: "ignore" });
    await eventually("the releases are there", 60_000, () => readFileSync(path.join(scratch, "url"), "utf8") !== "");
    const settings = { "slipway.python.path": python, "slipway.python.importStrategy": "fromEnvironment" };
    host = await Host.start({ settings, env: { SLIPWAY_BICEP_RELEASES: readFileSync(path.join(scratch, "url"), "utf8") } });
    folder = project("rg-bicep");
    window = await host.open(folder);
  });
  after(async () => {
    await host.stop();
    releases?.kill();
    rmSync(scratch, { recursive: true, force: true });
  });
  afterEach(async function () {
    await host.keepEvidence(this.currentTest);
  });

  function project(group: string): string {
    const made = path.join(scratch, "project");
    mkdirSync(made);
    cpSync(path.join(root, "infra"), path.join(made, "infra"), { recursive: true, filter: (file) => !/\.py$|inference\.json$/.test(file) });
    const place = fineTuningBegan(group, host.env);
    writeFileSync(path.join(made, "infra/finetuning.config.json"), JSON.stringify({ ...place, STORAGE_ACCOUNT_NAME: null, FILE_SHARE_NAME: null, ACA_JOB_NAME: null, COMMANDS: null }));
    return made;
  }
  const write = (text: string): void => { writeFileSync(path.join(folder, TEMPLATE), text); };
  const lineOf = (text: string, word: string): number => text.slice(0, text.indexOf(word)).split("\n").length;
  const begun = async (title: string): Promise<void> => {
    await window.clearNotifications();
    await window.run(`AI Toolkit: ${title}`);
    for (const each of ["Runs on this machine", "rg-bicep"]) await window.choose(each);
  };
  const markers = (text: string | RegExp): ReturnType<Window["page"]["locator"]> => window.page.locator(".markers-panel .monaco-list-row[aria-level='2']").filter({ hasText: text });

  const shown = async (file: string): Promise<void> => {
    await window.page.keyboard.press("Control+P");
    await window.page.locator(".quick-input-widget .quick-input-box input").fill(file);
    await window.choose(path.basename(file));
    await window.page.locator(".tabs-container .tab.active", { hasText: path.basename(file) }).waitFor();
  };

  /** Saved in VS Code's own editor, as a person does. */
  const mended = async (from: string, to: string, file = path.join(folder, TEMPLATE)): Promise<void> => {
    await shown(file);
    const at = `${String(lineOf(readFileSync(file, "utf8"), from))}:1`;
    await window.page.locator(".editor-instance .monaco-editor").first().click();
    await window.page.keyboard.press("Control+G");
    await window.type(`:${at}`);
    await window.statusBar.getByText(`Ln ${at.replace(":", ", Col ")}`).waitFor();
    await window.page.keyboard.press("Control+L"); // the whole line
    await window.page.keyboard.type(`${to}\n`);
    await window.page.keyboard.press("Control+S");
    await eventually("it is saved", 60_000, () => readFileSync(file, "utf8").includes(to) && !readFileSync(file, "utf8").includes(from));
  };

  it("without a compiler beside ours: told at its place, mended, and the plan is made", async () => {
    write(shipped.replace("param baseModel string = ''", "param baseModel strin = ''"));
    await begun("Check inference set-up");
    await window.press("strin is no type", "Show problems");
    const line = lineOf(shipped, "param baseModel string");
    await markers(`[Ln ${String(line)}, Col 17]`).first().waitFor({ timeout: 90_000 });
    await window.screenshot("bicep 1 ours");
    await mended("param baseModel strin =", "param baseModel string = ''");
    await eventually("nothing is wrong any more", 90_000, async () => (await markers("strin is no type").count()) === 0);
    await begun("Provision Azure Container Apps for inference");
    await window.notification("The plan is open: nothing has been changed yet.").waitFor({ timeout: 120_000 });
    await window.screenshot("bicep 2 ours, the plan");
  });

  it("a parameters file in Bicep's language: told at its place where it is edited, mended, and nothing is told any more", async () => {
    const file = path.join(folder, "infra/provision/main.bicepparam");
    writeFileSync(file, "using 'inference.bicep'\nparam acaAppNam = 'mine'\n");
    await shown(file);
    await markers("did you mean acaAppName?").filter({ hasText: "[Ln 2, Col 7]" }).waitFor({ timeout: 90_000 });
    await window.screenshot("bicep 2 parameters");
    await mended("param acaAppNam = 'mine'", "param acaAppName = 'mine'", file);
    await eventually("nothing is wrong any more", 90_000, async () => (await markers("did you mean acaAppName?").count()) === 0);
    rmSync(file);
  });

  it("several apps, and no output that tells which one is ours: a person picks", async () => {
    const spare = "{ name: 'spare', location: 'westeurope', properties: { environmentId: environment.id } }";
    write(`${shipped.replace("output ACA_APP_NAME string = appName", "output ACA_APP_NAME string = 'third'")}\nresource spare 'Microsoft.App/containerApps@2025-07-01' = ${spare}\n`);
    await begun("Provision Azure Container Apps for inference");
    await window.choices("spare").waitFor({ timeout: 120_000 });
    assert.equal(await window.choices(/^aiacaapp/).count(), 1, "the other one is offered too");
    assert.equal(await window.page.getByPlaceholder("Which container app is the endpoint?").count(), 1);
    await window.screenshot("bicep 2 several apps");
    await window.choose("spare");
    await window.notification("The plan is open: nothing has been changed yet.").waitFor({ timeout: 120_000 });
  });

  it("outside ours: the CLI is offered, asked for, installed, and compiles", async () => {
    write(shipped.replace("param baseModel string = ''", "type model = string\nparam baseModel model = ''"));
    await begun("Provision Azure Container Apps for inference");
    await window.press("Outside Slipway's compiler", "Install the Bicep CLI");
    await window.dialog.getByText("The Bicep CLI 0.49.2 of Microsoft").waitFor({ timeout: 90_000 });
    await window.screenshot("bicep 3 asked");
    await window.answer("Continue");
    await eventually("it is installed", 120_000, () => window.log.includes("[info] Bicep CLI 0.49.2: "));
    await window.run("Notifications: Show Notifications"); // VS Code shows no more than three that come within a second, as no person presses
    await window.notification("The Bicep CLI 0.49.2 is installed. Run the command again.").waitFor({ timeout: 120_000 });
    await eventually("what was outside is not any more", 60_000, async () => (await markers("Outside Slipway's compiler").count()) === 0);
    await begun("Provision Azure Container Apps for inference");
    await window.notification("The plan is open: nothing has been changed yet.").waitFor({ timeout: 120_000 });
    assert.match(window.log, /Compiled inference\.bicep with the Bicep CLI 0\.49\.2/);
    await window.screenshot("bicep 4 installed, the plan");
  });

  it("with the CLI: its words at line and column, mended, and Provision goes on to the end", async () => {
    write(shipped.replace("param baseModel string = ''", "param spare string = 'x'\nparam baseModel string = nobody"));
    await begun("Provision Azure Container Apps for inference");
    const line = lineOf(shipped, "param baseModel string") + 1;
    await window.press("BCP057: The name \"nobody\" does not exist in the current context.", "Show problems");
    await markers(`[Ln ${String(line)}, Col 26]`).waitFor({ timeout: 90_000 });
    assert.equal(await markers("no-unused-params").count(), 1, "what warns stands apart");
    await window.screenshot("bicep 5 the CLI's");
    await mended("param baseModel string = nobody", "param baseModel string = ''");
    await eventually("nothing of it is told any more", 90_000, async () => (await markers(/BCP057|no-unused/).count()) === 0);
    await begun("Provision Azure Container Apps for inference");
    await markers("no-unused-params").waitFor({ timeout: 120_000 });
    await window.press("The plan is open", "Apply plan");
    await window.notification("Provisioned.").waitFor({ timeout: 120_000 });
    await window.screenshot("bicep 6 provisioned");
  });

  it("in a window that is closed no compiler is left", async () => {
    await window.close();
    await eventually("none runs", 60_000, () => {
      const found = spawnSync(python, ["-c", `import psutil, sys\nprint([p.pid for p in psutil.process_iter(["cmdline"]) if any(sys.argv[1] in each for each in p.info["cmdline"] or []) and "jsonrpc" in (p.info["cmdline"] or [])])`, host.home], { encoding: "utf8" });
      return found.stdout.trim() === "[]";
    });
  });
});
