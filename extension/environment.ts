// The private Python environment of the sidecar: found, or made from the pinned requirements.
import { spawn } from "node:child_process";
import { createHash, randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, readdir, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import path from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import type { Python } from "./python";
import { Problem, sentence } from "./sentences";

/** What making an environment tells whoever waits for it. */
export interface Listener {
  /** The package that is being fetched, its size where it is known, how many of all; `increment` in percent of all. */
  readonly progress: (text: string, increment: number) => void;
  /** One line for the log. */
  readonly line: (text: string) => void;
}

const READY = ".slipway-ready";
const UNUSED_AFTER = 30 * 24 * 3600 * 1000;

/** The interpreter of the environment under `home` for this lock file and this Python; undefined until it has been made. */
export async function environment(home: string, lock: string, python: Python): Promise<string | undefined> {
  const folder = path.join(home, await key(lock, python));
  const ready = path.join(folder, READY);
  if (!existsSync(ready)) return undefined;
  const now = new Date();
  await utimes(ready, now, now);
  return interpreter(folder);
}

/**
 * Makes that environment; its interpreter. In a temporary folder that is renamed into place, so that an interrupted start
 * leaves nothing that looks complete. `env`: of the programs that do it. `wheels`: a folder that holds the packages, in place of an
 * index; their hashes are checked all the same.
 */
export async function makeEnvironment(home: string, lock: string, python: Python, listener: Listener, stop: AbortSignal, env = cleanEnvironment(), wheels = ""): Promise<string> {
  const folder = path.join(home, await key(lock, python));
  await mkdir(home, { recursive: true });
  await make(folder, lock, python, listener, { stop, env, wheels });
  await sweep(home, path.basename(folder));
  return interpreter(folder);
}

/** Whether the environment is there already, so that nothing needs to be fetched. */
export async function isReady(home: string, lock: string, python: Python): Promise<boolean> {
  return existsSync(path.join(home, await key(lock, python), READY));
}

/** Names an environment: another lock, another Python or another machine type makes another one. */
export async function key(lock: string, python: Python): Promise<string> {
  const digest = createHash("sha256").update(await readFile(lock)).update("\0").update(python.home).digest("hex");
  return `${digest.slice(0, 16)}-py${python.version}-${process.platform}-${process.arch}`;
}

export function interpreter(folder: string): string {
  return process.platform === "win32" ? path.join(folder, "Scripts", "python.exe") : path.join(folder, "bin", "python");
}

/** The modules that the interpreter lacks: for people who install the requirements themselves. */
export async function missingModules(python: string, modules: readonly string[]): Promise<readonly string[]> {
  const asks = "import importlib.util, sys; print('\\n'.join(n for n in sys.argv[1:] if importlib.util.find_spec(n) is None))";
  const lines: string[] = [];
  await run(python, ["-c", asks, ...modules], (line) => lines.push(line), { stop: new AbortController().signal, env: cleanEnvironment(), wheels: "" });
  return lines.filter((line) => modules.includes(line));
}

interface Around {
  readonly stop: AbortSignal;
  readonly env: NodeJS.ProcessEnv;
  readonly wheels: string;
}

async function make(folder: string, lock: string, python: Python, listener: Listener, around: Around): Promise<void> {
  const temporary = `${folder}.new-${randomUUID().slice(0, 8)}`;
  try {
    listener.line(`Making the Python environment ${folder}`);
    await step(() => run(python.path, ["-m", "venv", temporary], listener.line, around), venvFailure);
    const options = ["--disable-pip-version-check", "--no-input", "--progress-bar=off", "--require-hashes", "--only-binary=:all:", ...(around.wheels === "" ? [] : ["--no-index", "--find-links", around.wheels])];
    const pip = ["-m", "pip", "install", ...options, "-r", lock];
    const steps = new PipSteps(await readFile(lock, "utf8"));
    const hear = (line: string): void => {
      listener.line(line);
      const told = steps.told(line);
      if (told !== undefined) listener.progress(told.text, told.increment);
    };
    await step(() => run(interpreter(temporary), pip, hear, around), (output) => pipFailure(output, around.wheels));
    await writeFile(path.join(temporary, READY), "");
    await putInPlace(temporary, folder);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

/** What a person is told of pip's lines. */
export class PipSteps {
  private readonly total: number;
  private begun = 0;
  private current = "";

  constructor(lock: string) {
    const pins = Array.from(lock.matchAll(/^[\w.-]+==\S+(?: ; sys_platform (==|!=) "(\w+)")?/gm));
    // What another system needs is in the lock too, and is not fetched here.
    this.total = Math.max(pins.filter(([, sign, system]) => system === undefined || (sign === "==") === (system === process.platform)).length, 1);
  }

  /** Undefined where a line says nothing new. */
  told(line: string): { readonly text: string; readonly increment: number } | undefined {
    const named = /^ *(?:Collecting|Processing) (?:\S*\/)?([\w.-]+?)(?=-\d|[=<>~!;[(\s]|$)/.exec(line);
    if (named !== null && this.begun < this.total) {
      this.begun += 1;
      this.current = `${named[1] ?? ""} (${String(this.begun)}/${String(this.total)}, ${String(Math.floor((100 * this.begun) / this.total))} %)`;
      return { text: this.current, increment: 100 / this.total };
    }
    const fetched = /^ *(?:Downloading|Using cached) \S+\.(?:whl|gz) \(([\d.]+ \w+)\)/.exec(line);
    return fetched === null ? undefined : { text: `${this.current}, ${fetched[1] ?? ""}`, increment: 0 };
  }
}

/** Another window may have been faster; then its environment is as good as ours. */
async function putInPlace(temporary: string, folder: string): Promise<void> {
  try {
    await rename(temporary, folder);
  } catch (error) {
    if (!existsSync(path.join(folder, READY))) throw error;
  }
}

/** Removes what an interrupted start or an older version left, when nobody has used it for a month. */
async function sweep(home: string, keep: string): Promise<void> {
  for (const name of await readdir(home)) {
    if (name === keep) continue;
    const folder = path.join(home, name);
    const marker = path.join(folder, READY);
    const used = await stat(existsSync(marker) ? marker : folder);
    const limit = name.includes(".new-") ? 24 * 3600 * 1000 : UNUSED_AFTER;
    if (Date.now() - used.mtimeMs > limit) await rm(folder, { recursive: true, force: true });
  }
}

class ProgramFailed extends Error {
  constructor(
    readonly program: string,
    readonly output: string,
  ) {
    super(`${program} failed`);
  }
}

async function step(work: () => Promise<void>, explain: (output: string) => Problem): Promise<void> {
  try {
    await work();
  } catch (error) {
    throw error instanceof ProgramFailed ? explain(error.output) : error;
  }
}

function venvFailure(output: string): Problem {
  const what = sentence("Python could not make a virtual environment for Slipway.");
  const suggestion = /ensurepip|python3-venv/.test(output)
    ? sentence("On Debian and Ubuntu the package python3-venv is missing: apt install python3-venv. Then try again.")
    : sentence("The log shows what Python said. Another interpreter can be given in the setting slipway.python.path.");
  return new Problem(what, suggestion, output, "slipway.python.path");
}

function pipFailure(output: string, wheels: string): Problem {
  if (/No space left on device/i.test(output)) {
    return new Problem(
      sentence("There is not enough disk space for Slipway's Python environment."),
      sentence("About 200 MB are needed in VS Code's global storage folder. Make room and try again."),
      output,
    );
  }
  if (wheels !== "") {
    return new Problem(
      sentence("The folder {folder} does not hold the wheels that Slipway needs.", { folder: wheels }),
      sentence("Fill it for this version of Slipway and of Python, or empty the setting slipway.python.wheels. The log names what is missing."),
      output,
      "slipway.python.wheels",
    );
  }
  if (/No matching distribution|Could not find a version/i.test(output) && !/Connection|Temporary failure|ProxyError|SSLError/i.test(output)) {
    return new Problem(
      sentence("A package that Slipway needs does not exist for this Python on this machine."),
      sentence("Use Python 3.11, 3.12 or 3.13 for x64 or arm64: give its path in the setting slipway.python.path."),
      output,
      "slipway.python.path",
    );
  }
  return new Problem(
    sentence("The Python packages that Slipway needs could not be fetched."),
    sentence("Check the network and the proxy (pip's own settings apply) and try again. Without a network: name a folder with the wheels in the setting slipway.python.wheels, or install sidecar/requirements.txt into an interpreter of yours and set slipway.python.importStrategy to fromEnvironment."),
    output,
    "slipway.python.wheels",
  );
}

async function run(program: string, args: readonly string[], line: (text: string) => void, around: Around): Promise<void> {
  const { stop, env } = around;
  stop.throwIfAborted();
  // What Python runs is its own, and nothing of the folder that VS Code was started in: venv.py may lie there, or pip.
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], signal: stop, windowsHide: true, env: { ...env, PYTHONSAFEPATH: "1" } });
  const tail: string[] = [];
  const hear = (text: string): void => {
    line(text);
    tail.push(text);
    if (tail.length > 40) tail.shift();
  };
  createInterface({ input: child.stdout }).on("line", hear);
  createInterface({ input: child.stderr }).on("line", hear);
  const status = await new Promise<number | null>((resolve, reject) => {
    child.once("close", resolve);
    child.once("error", (error) => {
      // A stopped program is waited for: its files are removed next.
      if (!stop.aborted) reject(error);
    });
  });
  stop.throwIfAborted();
  if (status !== 0) throw new ProgramFailed(program, tail.join("\n"));
}

/** Without the variables with which somebody else's Python set-up would reach into ours, or have pip install elsewhere. */
export function cleanEnvironment(proxy: Proxy = NO_PROXY, around: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  const foreign = new Set(["PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "PYTHONSAFEPATH", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__", "PIP_USER", "PIP_TARGET", "PIP_PREFIX"]);
  return { ...Object.fromEntries(Object.entries(around).filter(([name]) => !foreign.has(name))), ...proxied(proxy, around) };
}

/** What VS Code's settings say of a proxy: `http.proxy`, empty for none, and `http.noProxy`. */
export interface Proxy {
  readonly url: string;
  readonly except: readonly string[];
}

export const NO_PROXY: Proxy = { url: "", except: [] };

/** The variables by which programs know a proxy, which may hold a password: for the child's environment and nowhere else. What the
 * environment itself says of proxies wins whole: nothing is mixed. */
function proxied(proxy: Proxy, around: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const named = Object.entries(around).some(([name, value]) => /^(?:https?|all)_proxy$/i.test(name) && value !== "");
  if (named || proxy.url.trim() === "") return {};
  const url = proxy.url.trim();
  return { HTTP_PROXY: url, HTTPS_PROXY: url, NO_PROXY: ["localhost", "127.0.0.1", "::1", ...proxy.except].join(",") };
}
