// Interpreters: which Python on this machine can run the sidecar.
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { promisify } from "node:util";
import { Problem, sentence } from "./sentences";

/** An interpreter that answered, new enough for the sidecar. */
export interface Python {
  readonly path: string;
  /** For example 3.12.4. */
  readonly version: string;
  /** The installation behind it: the same for all virtual environments made from one Python. */
  readonly home: string;
  /** Without it, Debian's Pythons make no environment: the package python3-venv is missing. */
  readonly hasEnsurepip: boolean;
}

/** Where an interpreter may be, and who says so (for the log). */
export interface Candidate {
  readonly path: string;
  readonly source: "setting" | "Python extension" | "PATH";
}

const SETTING = "slipway.python.path";
const OLDEST = { major: 3, minor: 11 };
const ON_THE_PATH = ["python3.13", "python3.12", "python3.11", "python3.14", "python3", "python"];
// venv itself is not imported: that takes as long as all the rest.
const PROBE = "import importlib.util, json, sys; importlib.util.find_spec('venv') or sys.exit('No module named venv'); print(json.dumps({'path': sys.executable, 'version': '%d.%d.%d' % sys.version_info[:3], 'home': sys.base_prefix, 'hasEnsurepip': importlib.util.find_spec('ensurepip') is not None}))";

/** In the order of preference: the setting alone when it is set, else the Python extension's, else the PATH. */
export function candidates(setting: string, pythonExtension: string | undefined): readonly Candidate[] {
  if (setting !== "") return [{ path: setting, source: "setting" }];
  const asked: Candidate[] = pythonExtension === undefined ? [] : [{ path: pythonExtension, source: "Python extension" }];
  return [...asked, ...ON_THE_PATH.map((path) => ({ path, source: "PATH" as const }))];
}

/** As below; what was found in this window is asked again only once it is gone. */
export async function knownPython(among: readonly Candidate[], note: (line: string) => void): Promise<Python> {
  const key = JSON.stringify(among);
  const known = found.get(key);
  if (known !== undefined && existsSync(known.path)) return known;
  const python = await findPython(among, note);
  found.set(key, python);
  return python;
}

const found = new Map<string, Python>();

/** The first candidate that answers, is new enough and can make environments; `note` hears why others were passed over. One
 * that can't make any is better than none: its packages may be there, and else Python itself says what is missing. */
export async function findPython(among: readonly Candidate[], note: (line: string) => void): Promise<Python> {
  let last: Python | undefined;
  for (const { path, source } of among) {
    const answer = await probe(path);
    if (answer.python !== undefined && newEnough(answer.python.version)) {
      if (answer.python.hasEnsurepip || source === "setting") return answer.python;
      note(`Makes no environment, ensurepip is missing (${source}): ${path}`);
      last ??= answer.python;
      continue;
    }
    const reason = answer.python === undefined ? answer.reason : `version ${answer.python.version} is too old`;
    note(`Not usable (${source}): ${path}: ${reason}`);
    if (source === "setting") {
      throw new Problem(
        sentence("The interpreter in the setting slipway.python.path can't be used: {path} ({reason}).", { path, reason }),
        sentence("Give the path of Python 3.11 or newer, or empty the setting."),
        undefined,
        SETTING,
      );
    }
  }
  if (last !== undefined) return last;
  throw new Problem(
    sentence("Slipway needs Python 3.11 or newer on this machine and found none."),
    sentence("Install Python from python.org or your system's packages, or give its path in the setting slipway.python.path."),
    undefined,
    SETTING,
  );
}

export function newEnough(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major === OLDEST.major && minor >= OLDEST.minor;
}

type Answer = { readonly python: Python } | { readonly python: undefined; readonly reason: string };

async function probe(path: string): Promise<Answer> {
  try {
    // Isolated: else Python looks for `json` first in the folder that VS Code was started in, which nobody may have trusted.
    const { stdout } = await promisify(execFile)(path, ["-I", "-c", PROBE], { timeout: 20_000, windowsHide: true });
    return { python: JSON.parse(stdout) as Python };
  } catch (error) {
    return { python: undefined, reason: explain(error) };
  }
}

function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if ("code" in error && error.code === "ENOENT") return "not found";
  const said = "stderr" in error && typeof error.stderr === "string" ? error.stderr.trim().split("\n") : [];
  return (said[0]?.startsWith("Traceback") === true ? said.at(-1) : said[0]) || error.message;
}
