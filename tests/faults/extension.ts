// Fault 42 in a real VS Code: the sidecar crashes, hangs, writes what is no message, or a message of 10 MB. Prints a JSON line a row.
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { eventually } from "../e2e/eventually";
import { fineTuningBegan, fineTuningLeft } from "../e2e/finetuning";
import { Host } from "../e2e/host";
import { startingSlowly } from "../e2e/releases";
import { RoughPython, framed } from "../e2e/rough";
import type { Window } from "../e2e/window";

const PROVISION = "AI Toolkit: Provision Azure Container Apps for inference";
const DEPLOY = "Deploy for inference";
const CUT_OFF = /A deployment of phi-finetuned was cut off at/;
const DEPLOYED = "Deployed: the model answers";

interface Row {
  readonly name: string;
  readonly expected: string;
  readonly play: (stage: Stage) => Promise<string>;
}

class Stage {
  constructor(
    readonly folder: string,
    readonly window: Window,
    readonly python: RoughPython,
  ) {}

  /** Something happens to the sidecar while a Deploy waits for its server: what the person reads, after how many seconds, and that the
   * Deploy is gone on with from where it was. */
  async midDeploy(fault: () => Promise<void> | void, told: RegExp): Promise<string> {
    const { window } = this;
    const before = window.sidecar;
    let seen = "";
    await startingSlowly(this.folder, async (goOn) => {
      await window.run(`AI Toolkit: ${DEPLOY}`);
      await window.step(DEPLOY, /Starting release|Installing dependencies|Loading/);
      const began = Date.now();
      await fault();
      const notification = window.notification(told);
      await notification.waitFor({ timeout: 120_000 });
      seen = `after ${seconds(began)} s: ${(await notification.innerText()).replaceAll(/\s+/g, " ").slice(0, 160)}`;
      await window.notification(CUT_OFF).waitFor({ timeout: 120_000 });
      seen += `; started again after ${seconds(began)} s`;
      await window.press(CUT_OFF, "Go on");
      goOn();
      await window.notification(DEPLOYED).waitFor({ timeout: 240_000 });
    });
    if (window.sidecar === before) throw new Error("it is the same process");
    await this.whole();
    return `${seen}; gone on with: deployed`;
  }

  /** Something that nobody needs to be told of: the same process goes on, and the Deploy with it. */
  async unnoticed(fault: () => Promise<void>): Promise<string> {
    const { window } = this;
    const before = window.sidecar;
    await startingSlowly(this.folder, async (goOn) => {
      await window.run(`AI Toolkit: ${DEPLOY}`);
      await window.step(DEPLOY, /Starting release|Installing dependencies|Loading/);
      await fault();
      goOn();
      await window.notification(DEPLOYED).waitFor({ timeout: 240_000 });
    });
    if (window.sidecar !== before) throw new Error("it was started again");
    await this.whole();
    return "unnoticed: deployed, by the same process";
  }

  /** View, status bar and commands are there, and say what is. */
  async whole(): Promise<void> {
    await this.window.clearNotifications();
    const view = await this.window.showView();
    await this.window.run("AI Toolkit: Refresh");
    await view.getByRole("treeitem", { name: /^State: ready/ }).waitFor({ timeout: 120_000 });
    await this.window.statusBar.getByText("Slipway: ready").waitFor();
  }

  /** Ends the process time and again: the pauses that the log names, in milliseconds, until a person is asked. */
  async crashes(): Promise<string> {
    const { window } = this;
    await window.run("AI Toolkit: Restart background process");
    await eventually("no crash is remembered", 240_000, () => Date.now() - this.lastCrash > 180_000);
    const told = window.notification("ended several times in a row");
    const before = window.log.length;
    let last = 0;
    for (let crash = 0; crash < 5; crash += 1) {
      const pid = await eventually("another process", 120_000, () => (window.sidecar === last ? undefined : window.sidecar));
      last = pid;
      process.kill(pid, "SIGKILL");
    }
    await told.waitFor({ timeout: 120_000 });
    this.lastCrash = Date.now();
    const pauses = [...window.log.slice(before).matchAll(/started again in (\d+) ms/g)].map((each) => Number(each[1]));
    if (pauses.join() !== "500,1000,2000,4000") throw new Error(`pauses: ${pauses.join()}`);
    await this.whole();
    return `pauses of ${pauses.join(", ")} ms, then a person is told; the next command starts it again`;
  }

  lastCrash = 0;
}

const ROWS: readonly Row[] = [
  {
    name: "crash",
    expected: "told, started again, gone on with",
    play: (stage) => stage.midDeploy(() => { process.kill(stage.window.sidecar, "SIGKILL"); }, /background process ended while it was working.*started again/),
  },
  {
    name: "hang",
    expected: "told after 30 s, ended, started again, gone on with",
    play: (stage) => stage.midDeploy(() => { process.kill(stage.window.sidecar, "SIGSTOP"); }, /did not answer for 30 seconds, so it was ended.*started again/),
  },
  {
    name: "hang-before-a-command",
    expected: "the command that finds it tells, the next one is answered",
    play: async (stage) => {
      const { window } = stage;
      process.kill(window.sidecar, "SIGSTOP");
      const began = Date.now();
      await window.run("AI Toolkit: Show API key");
      await window.notification(/did not answer for 30 seconds/).waitFor({ timeout: 120_000 });
      const after = seconds(began);
      await stage.whole();
      return `told after ${after} s; the next command is answered`;
    },
  },
  {
    name: "garbage-first",
    expected: "unnoticed; the log names it",
    play: async (stage) => {
      stage.python.begins("Welcome to this interpreter!\n*** 3 warnings ***\n");
      await stage.window.run("AI Toolkit: Restart background process");
      await eventually("the log names it", 120_000, () => stage.window.said("held what is no message: Welcome to this interpreter!") > 0);
      await stage.whole();
      stage.python.begins("");
      return "unnoticed; the log names it";
    },
  },
  {
    name: "garbage-between",
    expected: "unnoticed; the log names it",
    play: async (stage) => {
      const seen = await stage.unnoticed(() => stage.python.says("DeprecationWarning: this is no message \u0000\u0001\n"));
      if (stage.window.said("held what is no message: DeprecationWarning") === 0) throw new Error("the log does not name it");
      return seen;
    },
  },
  {
    name: "garbage-as-a-message",
    expected: "told, ended, started again, gone on with",
    play: (stage) => stage.midDeploy(() => stage.python.says(framed("{ this is no JSON")), /sent what could not be read, so it was ended.*started again/),
  },
  {
    name: "10-MB",
    expected: "unnoticed",
    play: (stage) => stage.unnoticed(() => stage.python.says(framed(JSON.stringify({ jsonrpc: "2.0", method: "slipway/progress", params: { operation: "another", text: { message: "x".repeat(10_000_000), args: {} }, increment: null } })))),
  },
  {
    name: "hang-at-its-start",
    expected: "told after 120 s; once it starts, a command is answered",
    play: async (stage) => {
      stage.python.hangs(true);
      const began = Date.now();
      await stage.window.run("AI Toolkit: Restart background process");
      await stage.window.notification(/background process could not be started/).waitFor({ timeout: 200_000 });
      const after = seconds(began);
      stage.python.hangs(false);
      await stage.whole();
      return `told after ${after} s; once it starts, a command is answered`;
    },
  },
  { name: "crash-after-crash", expected: "back-off, then a person is told", play: (stage) => stage.crashes() },
];

function seconds(began: number): string {
  return ((Date.now() - began) / 1000).toFixed(1);
}

async function main(names: readonly string[]): Promise<void> {
  if (names[0] === "--list") {
    process.stdout.write(`${JSON.stringify(ROWS.map(({ name }) => name))}\n`);
    return;
  }
  const scratch = mkdtempSync(path.join(realpathSync(tmpdir()), "sw-rough-"));
  const folder = path.join(scratch, "phi-finetuned");
  const python = RoughPython.in(path.join(scratch, "python"));
  const host = await Host.start({ settings: { "slipway.python.path": python.interpreter, "slipway.python.importStrategy": "fromEnvironment" } });
  try {
    const window = await prepared(host, folder);
    const stage = new Stage(folder, window, python);
    for (const row of ROWS.filter(({ name }) => names.length === 0 || names.includes(name))) {
      const began = Date.now();
      let told: { readonly seen: string; readonly held: boolean };
      try {
        told = { seen: await row.play(stage), held: true };
      } catch (error) {
        await host.keepEvidence({ title: row.name, state: "failed" });
        told = { seen: error instanceof Error ? error.message : String(error), held: false };
      }
      if (row.name.includes("crash") || row.name.includes("hang") || row.name.includes("message")) stage.lastCrash = Date.now();
      process.stdout.write(`${JSON.stringify({ name: row.name, expected: row.expected, ...told, seconds: Number(seconds(began)) })}\n`);
    }
  } finally {
    await host.stop();
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** A project whose endpoint answers. */
async function prepared(host: Host, folder: string): Promise<Window> {
  const place = fineTuningBegan("rg-rough", host.env);
  mkdirSync(path.join(folder, "infra"), { recursive: true });
  writeFileSync(path.join(folder, "infra/finetuning.config.json"), JSON.stringify({ ...place, STORAGE_ACCOUNT_NAME: null, FILE_SHARE_NAME: null, ACA_JOB_NAME: null, COMMANDS: null }));
  const window = await host.open(folder);
  await window.run("AI Toolkit: Create project files");
  await window.notification(/project files were created/).waitFor({ timeout: 240_000 });
  await window.clearNotifications();
  await window.run(PROVISION);
  await window.choose("Runs on this machine");
  await window.choose("rg-rough");
  await window.press("The plan is open", "Apply plan");
  await window.notification("Provisioned.").waitFor({ timeout: 240_000 });
  await window.clearNotifications();
  fineTuningLeft(folder, host.env);
  await window.run(`AI Toolkit: ${DEPLOY}`);
  await window.notification(DEPLOYED).waitFor({ timeout: 240_000 });
  await window.clearNotifications();
  return window;
}

main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exitCode = 1;
});
