// What is packed, started as the extension starts it, with the Pythons of this machine.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { cleanEnvironment, makeEnvironment } from "../../../extension/environment";
import { findPython, type Candidate, type Python } from "../../../extension/python";

const root = path.resolve(__dirname, "../../../..");
const MINORS = [14, 13, 12, 11];

/** Of each minor version one, the newest first: by its name on the PATH, or where pyenv and uv put theirs. */
async function present(): Promise<readonly Python[]> {
  const kept = [path.join(homedir(), ".pyenv/versions"), path.join(homedir(), ".local/share/uv/python")].filter((each) => existsSync(each));
  const installed = kept.flatMap((folder) => readdirSync(folder).map((each) => path.join(folder, each)));
  const found: Python[] = [];
  for (const minor of MINORS) {
    const name = `python3.${String(minor)}`;
    const among = [name, ...installed.map((each) => path.join(each, "bin", name))].map((each): Candidate => ({ path: each, source: "PATH" }));
    const python = await findPython(among, () => undefined).catch(() => undefined);
    if (python !== undefined) found.push(python);
  }
  return found;
}

/** The answer to the first request of a sidecar that runs from `folder`. */
async function greeting(interpreter: string, folder: string): Promise<string> {
  const child = spawn(interpreter, ["-m", "sidecar", "serve"], { cwd: folder, env: cleanEnvironment(), stdio: ["pipe", "pipe", "pipe"] });
  try {
    const heard: string[] = [];
    child.stderr.on("data", (data: Buffer) => heard.push(data.toString()));
    for (const [id, method, params] of [[0, "initialize", { processId: null, rootUri: null, capabilities: {} }], [1, "slipway/workspace", { folder }]] as const) {
      const body = JSON.stringify({ jsonrpc: "2.0", id, method, params });
      child.stdin.write(`Content-Length: ${String(body.length)}\r\n\r\n${body}`);
    }
    return await new Promise((resolve, reject) => {
      let said = "";
      child.stdout.on("data", (data: Buffer) => {
        said += data.toString();
        if (said.includes('"hasTemplate"')) resolve(said);
      });
      child.once("close", () => { reject(new Error(heard.join(""))); });
    });
  } finally {
    child.kill();
  }
}

describe("the packaged sidecar", function () {
  this.timeout(600_000);
  let home: string;

  before(() => {
    home = mkdtempSync(path.join(tmpdir(), "sw-vsix-"));
    execFileSync(process.execPath, ["esbuild.mjs", "--package"], { cwd: root });
    execFileSync("python3", ["-m", "zipfile", "-e", path.join(root, "build/slipway.vsix"), home]);
  });
  after(() => { rmSync(home, { recursive: true, force: true }); });

  it("starts from the unpacked .vsix with the newest Python here (all of them: SLIPWAY_EVERY_PYTHON=1)", async () => {
    const here = await present();
    const tried = process.env["SLIPWAY_EVERY_PYTHON"] === "1" ? here : here.slice(0, 1);
    process.stdout.write(`      here: ${here.map(({ version }) => version).join(", ")}; tried: ${tried.map(({ version }) => version).join(", ")}\n`);
    assert.ok(tried.length > 0);
    const folder = path.join(home, "extension");
    for (const python of tried) {
      const listener = { progress: () => undefined, line: () => undefined };
      const interpreter = await makeEnvironment(path.join(home, "environments"), path.join(folder, "sidecar/requirements.txt"), python, listener, new AbortController().signal);
      assert.match(await greeting(interpreter, folder), /"name": ?"slipway"/, python.version);
    }
  });
});
