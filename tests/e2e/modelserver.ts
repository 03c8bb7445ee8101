// A model server of its own, on the trained sample: what the container app runs, without the rest.
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import path from "node:path";
import process from "node:process";
import { eventually } from "./eventually";
import { root } from "./host";
import { freePort } from "./ports";

const KEY = "the-key-of-this-test";

export class ModelServer {
  readonly key = KEY;

  private constructor(
    readonly url: string,
    private readonly server: ChildProcess,
  ) {}

  /** Listens at once; `ready` waits for the model and its chat page. */
  static async start(env: Readonly<Record<string, string>> = {}): Promise<ModelServer> {
    const python = path.join(root, ".venv", process.platform === "win32" ? "Scripts/python.exe" : "bin/python");
    const made = spawnSync(python, ["-m", "sidecar.sample", "--cached"], { cwd: root, encoding: "utf8" });
    if (made.status !== 0) throw new Error(`the sample could not be made: ${made.stderr}`);
    const port = await freePort();
    const variables = { SLIPWAY_MOUNT: made.stdout.trim().split("\n").at(-1) ?? "", SLIPWAY_API_KEY: KEY, SLIPWAY_BIND_HOST: "127.0.0.1", CONTAINER_APP_PORT: String(port), ...env };
    const server = spawn(python, ["-m", "inference"], { cwd: root, env: { OMP_NUM_THREADS: "1", ...process.env, ...variables }, stdio: "ignore" });
    process.once("exit", () => server.kill("SIGKILL"));
    const started = new ModelServer(`http://127.0.0.1:${port}`, server);
    await eventually("the server listens", 120_000, async () => (await fetch(`${started.url}/health/live`)).ok);
    return started;
  }

  async ready(): Promise<void> {
    await eventually("the chat page is ready", 240_000, async () => (await this.get("/")).includes("gradio"));
  }

  /** What a route answers to who has the key. */
  async get(route: string): Promise<string> {
    return (await fetch(this.url + route, { headers: { authorization: `Bearer ${KEY}` } })).text();
  }

  /** Asks for so many answers of so many tokens, whatever the model would end with, and gives up on them when `signal` says so. */
  async generate(model: string, tokens: number, answers: number, signal: AbortSignal): Promise<void> {
    const body = JSON.stringify({ model, prompt: "Who", n: answers, max_tokens: tokens, ignore_eos: true });
    await fetch(`${this.url}/v1/completions`, { method: "POST", headers: { authorization: `Bearer ${KEY}` }, body, signal });
  }

  /** One of the server's figures. */
  async metric(name: string): Promise<number> {
    const line = (await this.get("/metrics")).split("\n").find((each) => each.startsWith(`${name} `));
    if (line === undefined) throw new Error(`there is no metric ${name}`);
    return Number(line.split(" ")[1]);
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.server.once("exit", resolve));
    this.server.kill("SIGKILL");
    await ended;
  }
}
