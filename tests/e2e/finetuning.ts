// What a remote fine-tuning run leaves: made by tests/e2e/finetuning.py, through the same SDKs as everything else.
import { spawnSync } from "node:child_process";
import path from "node:path";
import process from "node:process";
import { root } from "./host";

export interface Question {
  readonly question: string;
  readonly base: string;
  readonly adapter: string;
}

export interface Place {
  readonly SUBSCRIPTION_ID: string;
  readonly RESOURCE_GROUP_NAME: string;
}

/** A resource group, as fine-tuning's Provision makes one. */
export function fineTuningBegan(group: string, env: NodeJS.ProcessEnv): Place {
  return JSON.parse(run(["began", group], env)) as Place;
}

/** The base model and the trained adapter, on the share that the folder's configuration names. */
export function fineTuningLeft(folder: string, env: NodeJS.ProcessEnv): void {
  run(["left", folder], env);
}

/** The adapter on the share, as an upload that broke off leaves it. `fineTuningLeft` mends it. */
export function fineTuningBroke(folder: string, env: NodeJS.ProcessEnv): void {
  run(["broke", folder], env);
}

/** The storage account's keys, renewed by somebody who does not know who mounts with them. */
export function keysRotated(folder: string, env: NodeJS.ProcessEnv): void {
  run(["rotated", folder], env);
}

/** How many replicas run, without a request that would keep them awake. */
export function awake(folder: string, env: NodeJS.ProcessEnv): number {
  return JSON.parse(run(["awake", folder], env)) as number;
}

/** The sample's folder on this machine: `model-cache` and `models`, as on a share. */
export function sampleFolder(env: NodeJS.ProcessEnv): string {
  return JSON.parse(run(["sample"], env)) as string;
}

/** What the sample was trained to answer: the base one way, the adapter another. */
export function sampleQuestions(env: NodeJS.ProcessEnv): readonly Question[] {
  return JSON.parse(run(["asks"], env)) as readonly Question[];
}

function run(args: readonly string[], env: NodeJS.ProcessEnv): string {
  const python = path.join(root, ".venv", process.platform === "win32" ? "Scripts/python.exe" : "bin/python");
  const done = spawnSync(python, ["-m", "tests.e2e.finetuning", ...args], { cwd: root, env, encoding: "utf8" });
  if (done.status !== 0) throw new Error(`fine-tuning's part failed: ${done.stderr}`);
  return done.stdout.trim().split("\n").at(-1) ?? "";
}
