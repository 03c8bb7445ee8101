// Releases that a test makes of a project, and callers whose answers stream while one takes the place of another.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { root } from "./host";

const ENTRY = "inference/__main__.py";
const MAIN = "def main() -> int:\n";

/** The project's server does not begin before `goOn` is called, or a person has done what they do meanwhile; afterwards it is as it was. */
export async function startingSlowly(folder: string, meanwhile: (goOn: () => void) => Promise<void>): Promise<void> {
  const held = path.join(mkdtempSync(path.join(tmpdir(), "sw-held-")), "held");
  writeFileSync(held, "");
  const goOn = (): void => { rmSync(path.dirname(held), { recursive: true, force: true }); };
  const waiting = `${MAIN}    import os, time\n    while os.path.exists(${JSON.stringify(held)}):\n        time.sleep(0.1)\n`;
  try {
    await changed(folder, ENTRY, (text) => text.replace(MAIN, waiting), () => meanwhile(goOn));
  } finally {
    goOn();
  }
}

/** The project's server ends with an error. */
export async function crashing(folder: string, meanwhile: () => Promise<void>): Promise<void> {
  await changed(folder, ENTRY, (text) => text.replace(MAIN, `${MAIN}    raise RuntimeError('the tokenizer is wrong')\n`), meanwhile);
}

/** The project's packages are stated otherwise: what the start installs has to be looked at anew. */
export async function withOtherPackages(folder: string, meanwhile: () => Promise<void>): Promise<void> {
  await changed(folder, "inference/requirements.txt", (text) => `${text}# another line\n`, meanwhile);
}

async function changed(folder: string, name: string, change: (text: string) => string, meanwhile: () => Promise<void>): Promise<void> {
  const file = path.join(folder, name);
  const good = readFileSync(file, "utf8");
  const other = change(good);
  if (other === good) throw new Error(`${name} is not changed by this`);
  writeFileSync(file, other);
  try {
    await meanwhile();
  } finally {
    writeFileSync(file, good);
  }
}

export interface Answer {
  readonly release: string;
  readonly began: number;
  readonly ended: number;
  readonly whole: boolean;
}

/** Somebody who lets the endpoint write one long answer after the other, without a pause, and never asks twice for the same. */
export class Caller {
  readonly answers: Answer[] = [];
  private going = true;
  private readonly done: Promise<void>;

  constructor(
    private readonly url: string,
    private readonly key: string,
  ) {
    this.done = this.run();
  }

  static of(folder: string, url: string, env: NodeJS.ProcessEnv): Caller {
    const python = path.join(root, ".venv", process.platform === "win32" ? "Scripts/python.exe" : "bin/python");
    const said = spawnSync(python, ["-m", "sidecar", "api-key", folder, "--json"], { cwd: root, env, encoding: "utf8" });
    const { apiKey } = JSON.parse(said.stdout) as { readonly apiKey: string };
    return new Caller(url, apiKey);
  }

  /** Lets the last answer come to its end. */
  async end(): Promise<readonly Answer[]> {
    this.going = false;
    await this.done;
    return this.answers;
  }

  private async run(): Promise<void> {
    const body = JSON.stringify({ model: "slipway/tiny-llama", prompt: "Who", max_tokens: 400, ignore_eos: true, stream: true });
    while (this.going) {
      const began = Date.now();
      const answer = await fetch(`${this.url}/v1/completions`, { method: "POST", headers: { authorization: `Bearer ${this.key}`, "content-type": "application/json" }, body });
      const text = await answer.text();
      const whole = answer.status === 200 && text.trimEnd().endsWith("data: [DONE]");
      this.answers.push({ release: answer.headers.get("x-slipway-release") ?? "", began, ended: Date.now(), whole });
    }
  }
}
