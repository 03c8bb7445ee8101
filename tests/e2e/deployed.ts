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
