// What a person reads in a real VS Code when the model, the code, the adapter or the share is wrong: where, and after how long.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { eventually } from "./eventually";
import { fineTuningBegan, fineTuningBroke, fineTuningLeft, keysRotated } from "./finetuning";
import type { Host } from "./host";
import { RoughPython, framed } from "./rough";
import { Caller, crashing, startingSlowly, withOtherPackages } from "./releases";
import { Stage } from "./stage";
import type { Window } from "./window";

const PROVISION = "Provision Azure Container Apps for inference";
const DEPLOY = "Deploy for inference";
const LOCAL = "Runs on this machine";

describe("what goes wrong, as it is read in a real VS Code", function () {
  this.timeout(600_000);
  const stage = Stage.of("fail");
  let folder: string;
  let host: Host;
  let window: Window;
  let python: RoughPython;

  before(async () => {
    folder = path.join(stage.scratch, "phi-finetuned");
    // Packages that are there already: how they are made is the journey's to show.
    python = RoughPython.in(path.join(stage.scratch, "python"));
    host = await stage.start({ settings: { "slipway.python.path": python.interpreter, "slipway.python.importStrategy": "fromEnvironment" } });
    const place = fineTuningBegan("rg-failures", host.env);
    mkdirSync(path.join(folder, "infra"), { recursive: true });
    writeFileSync(path.join(folder, "infra/finetuning.config.json"), JSON.stringify({ ...place, STORAGE_ACCOUNT_NAME: null, FILE_SHARE_NAME: null, ACA_JOB_NAME: null, COMMANDS: null }));
    window = await host.open(folder);
    await window.run("AI Toolkit: Create project files");
    await window.notification(/project files were created/).waitFor({ timeout: 240_000 });
    await window.clearNotifications();
    await provision(window, "rg-failures");
  });

  async function provision(at: Window, group: string): Promise<void> {
    await at.run(`AI Toolkit: ${PROVISION}`);
    await at.choose(LOCAL);
    await at.choose(group);
    await at.press("The plan is open", "Apply plan");
    await at.notification("Provisioned.").waitFor({ timeout: 240_000 });
    await at.clearNotifications();
  }

  /** Runs Deploy; seconds until the notification that is awaited, and its text. */
  async function deployed(told: string | RegExp, picture: string): Promise<string> {
    const began = Date.now();
    await window.run(`AI Toolkit: ${DEPLOY}`);
    const notification = window.notification(told);
    await notification.waitFor({ timeout: 240_000 });
    const seconds = ((Date.now() - began) / 1000).toFixed(1);
    await window.screenshot(picture);
    const text = (await notification.innerText()).replaceAll(/\s+/g, " ");
    process.stdout.write(`      ${picture}: after ${seconds} s: ${text.slice(0, 300)}\n`);
    return text;
  }

  /** By the project's own setting, once VS Code has read it. */
  async function restartsFromNowOn(): Promise<void> {
    mkdirSync(path.join(folder, ".vscode"), { recursive: true });
    writeFileSync(path.join(folder, ".vscode/settings.json"), JSON.stringify({ "slipway.rollout": "restart" }));
    await eventually("a deploy would restart", 120_000, async () => {
      await window.run("AI Toolkit: Preview deployment");
      await window.dialog.getByText("On the share: base model").waitFor({ timeout: 90_000 });
      const told = await window.dialog.innerText();
      await window.answer("Cancel");
      return told.includes("The running replica ends before the new one starts");
    });
  }

  it("an empty share: Deploy names what is missing before anything moves", async () => {
    const text = await deployed(/No base model is on the share.*Nothing was changed/, "failure 1 empty share");
    assert.match(text, /model-cache\/<organisation>\/<model>\/config.json is expected/);
    await window.clearNotifications();
  });

  it("a command that waits says so", async () => {
    const { sidecar } = window;
    process.kill(sidecar, "SIGSTOP"); // as a cloud that is slow
    try {
      await window.run("AI Toolkit: Show API key");
      await window.notification("Show API key").waitFor({ timeout: 20_000 });
      await window.screenshot("failure 1b waits");
    } finally {
      process.kill(sidecar, "SIGCONT");
    }
    await window.dialog.getByText("API key of the inference endpoint").waitFor({ timeout: 90_000 });
    await window.answer("Cancel");
    await window.notification("Show API key").waitFor({ state: "detached", timeout: 90_000 });
  });

  it("a first release that crashes: its logs show why, the cause is named, and what is offered mends it", async () => {
    fineTuningLeft(folder, host.env);
    const file = path.join(folder, "inference/__main__.py");
    const good = readFileSync(file, "utf8");
    writeFileSync(file, good.replace("def main() -> int:\n", "def main() -> int:\n    raise RuntimeError('the tokenizer is wrong')\n"));
    await deployed(/has ended.*RuntimeError: the tokenizer is wrong \(inference\/__main__.py, line/, "failure 2 first release");
    await window.press("the tokenizer is wrong", "Endpoint's logs");
    const panel = window.page.locator(".part.panel");
    await panel.getByText("RuntimeError: the tokenizer is wrong").first().waitFor({ timeout: 90_000 });
    await window.statusBar.getByText("Following logs").waitFor();
    await window.screenshot("failure 2 logs");
    await window.clearNotifications();
    await window.run("AI Toolkit: Why is it not ready?");
    await window.dialog.getByText("RuntimeError: the tokenizer is wrong").first().waitFor({ timeout: 120_000 });
    await window.screenshot("failure 2 diagnosis");
    const told = await window.dialog.innerText();
    assert.match(told, /Correct the code and run Deploy again/);
    assert.match(told, /Revision .* health Unhealthy/);
    assert.match(told, /Replica .*restarts: [1-9]/);
    writeFileSync(file, good);
    await window.answer(DEPLOY);
    await window.notification("Deployed: the model answers").waitFor({ timeout: 240_000 });
    await panel.getByText("slipway: phase ready").first().waitFor({ timeout: 90_000 });
    await window.screenshot("failure 2 mended");
    await window.clearNotifications();
    await window.run("AI Toolkit: Show system logs");
    await panel.getByText("ContainerStarted: ").first().waitFor({ timeout: 90_000 });
    await window.screenshot("failure 2 system logs");
    await window.statusBar.getByText("Following logs").click();
    await window.statusBar.getByText("Following logs").waitFor({ state: "hidden" });
    await window.run("AI Toolkit: Why is it not ready?");
    await window.dialog.getByText("Nothing is wrong").waitFor({ timeout: 120_000 });
    await window.answer("OK");
  });

  it("a broken adapter is not a success", async () => {
    fineTuningBroke(folder, host.env);
    const text = await deployed(/the server refuses the adapter gpu_model/, "failure 3 broken adapter");
    assert.match(text, /is truncated/);
    fineTuningLeft(folder, host.env);
    await window.clearNotifications();
  });

  it("a syntax error stops the Deploy with file and line in the Problems panel, and what served goes on serving", async () => {
    const file = path.join(folder, "inference/server.py");
    const good = readFileSync(file, "utf8");
    const line = good.split("\n").length + 1;
    writeFileSync(file, `${good}\ndef broken(:\n`);
    await deployed(/The code would not start.*Nothing was changed/, "failure 4 syntax error");
    await window.press("The code would not start", "Show problems");
    await window.page.locator(".markers-panel").getByText(`[Ln ${String(line)}, Col`).waitFor({ timeout: 90_000 });
    await window.screenshot("failure 4 problems");
    const view = await window.showView();
    await view.getByRole("treeitem", { name: /^State: ready/ }).waitFor({ timeout: 120_000 });
    writeFileSync(file, good);
    await window.clearNotifications();
  });

  it("a changed line takes over while answers stream: each ends as it began, none fails, and no replica is started", async () => {
    const view = await window.showView();
    await view.getByRole("treeitem", { name: /^State: ready/ }).waitFor({ timeout: 120_000 });
    const { ACA_APP_ENDPOINT: endpoint } = JSON.parse(readFileSync(path.join(folder, "infra/inference.config.json"), "utf8")) as { readonly ACA_APP_ENDPOINT: string };
    const callers = [1, 2].map(() => Caller.of(folder, `http://${endpoint}`, host.env));
    writeFileSync(path.join(folder, "inference/CHANGES.md"), "while answers stream");
    const began = Date.now();
    await deployed("Deployed: the model answers", "exchange 1 while answers stream");
    const ended = Date.now();
    await eventually("the new release has answered both", 120_000, () => callers.every(({ answers }) => answers.some((each) => each.began > ended)));
    const answers = (await Promise.all(callers.map((each) => each.end()))).flat();
    assert.ok(answers.every(({ whole, release }) => whole && /^[0-9a-f]{64}$/.test(release)), JSON.stringify(answers));
    const before = answers[0]?.release;
    assert.equal(new Set(answers.map(({ release }) => release)).size, 2, "the one before and the new one have answered");
    assert.ok(answers.some((each) => each.release === before && each.began < ended && each.ended > began), "an answer streamed meanwhile");
    await view.getByRole("treeitem", { name: /^Replicas: 1/ }).waitFor();
    await view.getByRole("treeitem", { name: /^Cost now: \d+\.\d\d USD an hour by list price; about \d+\.\d\d USD since/ }).waitFor();
    await view.getByRole("treeitem", { name: /^Note: These prices are made up/ }).waitFor();
    await window.clearNotifications();
  });

  it("a release that crashes beside the one that serves is told, and nothing of that stops", () => crashing(folder, async () => {
    await deployed(/did not come into service: .*Release [0-9a-f]{12} goes on serving/, "failure 4b beside");
    assert.ok(window.log.includes("the tokenizer is wrong"), "the log holds the end of the container's");
    await window.clearNotifications();
  }));

  it("one that crashes in its turn makes way for the one before, and the person reads why", () => withOtherPackages(folder, () => crashing(folder, async () => {
    await deployed(/did not come into service: .*The release before, [0-9a-f]{12}, serves again/, "failure 4b way back");
    const view = await window.showView();
    await view.getByRole("treeitem", { name: /^State: ready/ }).waitFor({ timeout: 120_000 });
    await window.screenshot("failure 4b way back view");
    await window.clearNotifications();
  })));

  it("a person looks at what a Deploy would do, and goes back to an earlier release", async () => {
    writeFileSync(path.join(folder, "inference/NOTE.md"), "the second release");
    await window.run("AI Toolkit: Preview deployment");
    await window.dialog.getByText("Added: NOTE.md").waitFor({ timeout: 120_000 });
    await window.screenshot("failure 4c preview");
    const told = await window.dialog.innerText();
    assert.match(told, /The server is exchanged in its container, the new one beside the old: no request waits/);
    await window.answer(DEPLOY);
    await window.notification("Deployed: the model answers").waitFor({ timeout: 240_000 });
    await window.clearNotifications();
    await window.run("AI Toolkit: Roll back inference deployment");
    await window.choices("Removed: 1").first().waitFor({ timeout: 120_000 });
    await window.screenshot("failure 4c releases");
    await window.choose("Removed: 1");
    await window.notification("Deployed: the model answers").waitFor({ timeout: 240_000 });
    await window.screenshot("failure 4c rolled back");
    rmSync(path.join(folder, "inference/NOTE.md"));
    await window.clearNotifications();
  });

  it("a Deploy that was cut off is told, and goes on from where it was", () => startingSlowly(folder, async (goOn) => {
    await window.run(`AI Toolkit: ${DEPLOY}`);
    await window.step(DEPLOY, /Starting release|Installing dependencies|Loading/);
    process.kill(window.sidecar, "SIGKILL");
    await window.notification(/A deployment of phi-finetuned was cut off at/).waitFor({ timeout: 120_000 });
    await window.screenshot("failure 4d cut off");
    await window.press(/was cut off at/, "Go on");
    goOn();
    await window.notification("Deployed: the model answers").waitFor({ timeout: 240_000 });
    await window.clearNotifications();
  }));

  it("a background process that can't be understood is ended and told, and the Deploy goes on", () => startingSlowly(folder, async (goOn) => {
    await window.run(`AI Toolkit: ${DEPLOY}`);
    await window.step(DEPLOY, /Starting release|Installing dependencies|Loading/);
    await python.says("a library's warning, which is passed over\n");
    await python.says(framed("{ this is no JSON"));
    await window.notification(/sent what could not be read, so it was ended/).waitFor({ timeout: 120_000 });
    assert.ok(window.said("held what is no message: a library's warning") > 0);
    await window.screenshot("failure 4e not understood");
    await window.press(/was cut off at/, "Go on");
    goOn();
    await window.notification("Deployed: the model answers").waitFor({ timeout: 240_000 });
    await window.clearNotifications();
  }));

  it("a renewed key is named, and Provision puts it right", async () => {
    keysRotated(folder, host.env);
    await restartsFromNowOn(); // what has it mounted goes on: only a start finds out
    const text = await deployed(/can't be mounted.*run Provision again/, "failure 5 rotated key");
    assert.match(text, /mount error\(13\)/);
    await window.clearNotifications();
    await provision(window, "rg-failures");
    await deployed("Deployed: the model answers", "failure 5 mended");
  });

  it("a GPU that another project has is named, in place of a wait without a word", async () => {
    const second = path.join(stage.scratch, "phi-second");
    const place = fineTuningBegan("rg-second", host.env);
    mkdirSync(path.join(second, "infra"), { recursive: true });
    writeFileSync(path.join(second, "infra/finetuning.config.json"), JSON.stringify({ ...place, STORAGE_ACCOUNT_NAME: null, FILE_SHARE_NAME: null, ACA_JOB_NAME: null, COMMANDS: null }));
    const other = await host.open(second);
    await other.run("AI Toolkit: Create project files");
    await other.notification(/project files were created/).waitFor({ timeout: 120_000 });
    await other.clearNotifications();
    await provision(other, "rg-second");
    fineTuningLeft(second, host.env);
    const began = Date.now();
    await other.run(`AI Toolkit: ${DEPLOY}`);
    await other.step(DEPLOY, /Waiting for a GPU: 1 of the quota of 1 are in use/);
    process.stdout.write(`      failure 6 no GPU: after ${((Date.now() - began) / 1000).toFixed(1)} s\n`);
    await other.screenshot("failure 6 no GPU");
    await other.press(`${DEPLOY} (`, "Cancel");
    await other.notification("Cancelled.").waitFor({ timeout: 90_000 });
  });
});
