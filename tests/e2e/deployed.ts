// A project whose model is deployed on the local cloud, made in the terminal: for journeys that begin where that one ends.
import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { fineTuningBegan, fineTuningLeft } from "./finetuning";
import { root } from "./host";

/** The interpreter that has the sidecar's packages already. */
export const PYTHON = path.join(root, ".venv", process.platform === "win32" ? "Scripts/python.exe" : "bin/python");

/** Settings with which VS Code uses them, too. */
export const PACKAGES_ARE_THERE = { "slipway.cloud": "local", "slipway.python.path": PYTHON, "slipway.python.importStrategy": "fromEnvironment" } as const;

/** Makes `folder` a project that is provisioned in a resource group of its own. */
export async function provisioned(folder: string, group: string, env: NodeJS.ProcessEnv): Promise<void> {
  const place = fineTuningBegan(group, env);
  mkdirSync(folder, { recursive: true });
  await slipway(["provision", folder, "--cloud", "local", "--yes", "--subscription", place.SUBSCRIPTION_ID, "--group", group], env);
}

/** Puts the sample, base and adapter, on its share, and deploys it. */
export async function deployed(folder: string, env: NodeJS.ProcessEnv): Promise<void> {
  fineTuningLeft(folder, env);
  await slipway(["deploy", folder, "--cloud", "local", "--yes"], env);
}

/** A command in the terminal; what it printed. */
export async function slipway(args: readonly string[], env: NodeJS.ProcessEnv): Promise<string> {
  const child = spawn(PYTHON, ["-m", "sidecar", ...args], { cwd: root, env });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => { said += chunk.toString(); });
  const status = await new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  if (status !== 0) throw new Error(`slipway ${args[0] ?? ""} ended with ${String(status)}:\n${said}`);
  return said;
}

/** Somebody else who calls the endpoint, with its key. */
export class Others {
  private constructor(
    private readonly url: string,
    private readonly headers: Readonly<Record<string, string>>,
  ) {}

  static async of(folder: string, env: NodeJS.ProcessEnv): Promise<Others> {
    const { apiKey } = JSON.parse(await slipway(["api-key", folder, "--json"], env)) as { readonly apiKey: string };
    const { url } = JSON.parse(await slipway(["endpoint", folder, "--json"], env)) as { readonly url: string };
    return new Others(url, { authorization: `Bearer ${apiKey}` });
  }

  /** Asks for more long answers than the server gives at a time, until `signal` says that they are not wanted any more. */
  async occupy(model: string, answers: number, signal: AbortSignal): Promise<void> {
    const body = JSON.stringify({ model, prompt: "Who", n: answers, max_tokens: 1500, ignore_eos: true });
    try {
      const answer = await fetch(`${this.url}/v1/completions`, { method: "POST", headers: { ...this.headers, "content-type": "application/json" }, body, signal });
      throw new Error(`they were answered (${answer.status}): ${(await answer.text()).slice(0, 300)}`);
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  /** Which release answers. */
  async release(): Promise<string> {
    const { release } = (await (await fetch(`${this.url}/version`, { headers: this.headers })).json()) as { readonly release: string };
    return release;
  }

  /** One of the server's figures. */
  async metric(name: string): Promise<number> {
    const said = await (await fetch(`${this.url}/metrics`, { headers: this.headers })).text();
    const line = said.split("\n").find((each) => each.startsWith(`${name} `));
    if (line === undefined) throw new Error(`there is no metric ${name}`);
    return Number(line.split(" ")[1]);
  }
}
