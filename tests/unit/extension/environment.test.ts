import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { cleanEnvironment, environment, isReady, makeEnvironment, key, missingModules, type Listener } from "../../../extension/environment";
import { findPython, type Python } from "../../../extension/python";
import { Problem } from "../../../extension/sentences";

describe("the private Python environment", function () {
  this.timeout(240_000);
  let home: string;
  let lock: string;
  let python: Python;
  const silent: Listener = { progress: () => undefined, line: () => undefined };
  const made = (folder: string): Promise<string> => makeEnvironment(folder, lock, python, silent, new AbortController().signal);

  before(async () => {
    python = await findPython([{ path: "python3", source: "PATH" }], () => undefined);
  });
  beforeEach(() => {
    home = mkdtempSync(path.join(tmpdir(), "sw-env-"));
    lock = path.join(home, "requirements.txt");
    writeFileSync(lock, "# nothing to install\n");
  });
  afterEach(() => {
    rmSync(home, { recursive: true, force: true });
  });

  it("is made once, runs from where it was renamed to, and leaves no temporary folder", async () => {
    const folder = path.join(home, "environments");
    const interpreter = await made(folder);
    const prefix = execFileSync(interpreter, ["-c", "import sys; print(sys.prefix)"], { encoding: "utf8" }).trim();
    assert.equal(prefix, path.join(folder, await key(lock, python)));
    assert.equal(readdirSync(folder).length, 1);
    const again = await environment(folder, lock, python);
    assert.equal(again, interpreter);
    assert.equal(await isReady(folder, lock, python), true);
  });

  it("is made in its place whatever pip's own variables say", async () => {
    const elsewhere = path.join(home, "elsewhere");
    const own = { PIP_USER: "1", PIP_TARGET: elsewhere, PIP_PREFIX: elsewhere };
    Object.assign(process.env, own);
    try {
      const set = execFileSync("python3", ["-c", "import os; print([n for n in os.environ if n.startswith('PIP_')])"], { encoding: "utf8", env: cleanEnvironment() });
      assert.doesNotMatch(set, /PIP_USER|PIP_TARGET|PIP_PREFIX/);
      const interpreter = await made(path.join(home, "environments"));
      const place = execFileSync(interpreter, ["-m", "pip", "--version"], { encoding: "utf8", env: cleanEnvironment() });
      assert.ok(place.includes(path.join(home, "environments")), place);
      assert.equal(existsSync(elsewhere), false);
    } finally {
      for (const name of Object.keys(own)) Reflect.deleteProperty(process.env, name);
    }
  });

  it("goes through VS Code's proxy where the environment names none, and mixes nothing", () => {
    const settings = { url: " http://me:pass@proxy.example:3128 ", except: ["corp.example"] };
    const url = "http://me:pass@proxy.example:3128";
    const given = cleanEnvironment(settings, { PATH: "/bin" });
    assert.deepEqual(given, { PATH: "/bin", HTTP_PROXY: url, HTTPS_PROXY: url, NO_PROXY: "localhost,127.0.0.1,::1,corp.example" });
    assert.deepEqual(cleanEnvironment({ url: "", except: [] }, { PATH: "/bin" }), { PATH: "/bin" });
    for (const name of ["https_proxy", "HTTPS_PROXY", "HTTP_PROXY", "all_proxy"]) {
      assert.deepEqual(cleanEnvironment(settings, { [name]: "http://other:1" }), { [name]: "http://other:1" });
    }
    assert.equal(cleanEnvironment(settings, { HTTPS_PROXY: "" })["HTTPS_PROXY"], url, "an empty one names none");
  });

  it("fetches its packages through that proxy", async () => {
    const asked: string[] = [];
    const server = createServer();
    server.on("connect", (request, socket) => {
      asked.push(request.url ?? "");
      socket.end("HTTP/1.1 502 Bad Gateway\r\n\r\n");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    writeFileSync(lock, "nothing==1.0 --hash=sha256:0000000000000000000000000000000000000000000000000000000000000000\n");
    const env = cleanEnvironment({ url: `http://127.0.0.1:${port}`, except: [] }, { PATH: process.env["PATH"], PIP_INDEX_URL: "https://index.example/simple", PIP_RETRIES: "0", PIP_CONFIG_FILE: "/dev/null" });
    try {
      await assert.rejects(makeEnvironment(path.join(home, "environments"), lock, python, silent, new AbortController().signal, env), Problem);
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
    assert.ok(asked.includes("index.example:443"), asked.join());
  });

  it("tells each package that it fetches, with its size, how many of all, and percent", async () => {
    const index = path.join(home, "index");
    const make = "import sys; from pathlib import Path; from tests.support.wheels import pinned, wheel; print('\\n'.join(pinned(wheel(Path(sys.argv[1]) / n, n, '1.0', {n + '.py': 'x = 1'})) for n in ('first', 'second')))";
    writeFileSync(lock, execFileSync(path.resolve(__dirname, "../../../../.venv/bin/python"), ["-c", make, index], { cwd: path.resolve(__dirname, "../../../.."), encoding: "utf8" }));
    appendFileSync(lock, '\nelsewhere==1.0 ; sys_platform == "another" \\\n    --hash=sha256:0000000000000000000000000000000000000000000000000000000000000000\n');
    const server = createServer((request, response) => {
      const [, name = "", file = ""] = (request.url ?? "").split("/");
      const folder = path.join(index, path.basename(name));
      if (file !== "") response.end(readFileSync(path.join(folder, path.basename(file))));
      else response.setHeader("content-type", "text/html").end(readdirSync(folder).map((each) => `<a href="${each}">${each}</a>`).join(""));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const env = { PATH: process.env["PATH"], PIP_INDEX_URL: `http://127.0.0.1:${port}`, PIP_CONFIG_FILE: "/dev/null", PIP_NO_CACHE_DIR: "1" };
    const told: (readonly [string, number])[] = [];
    try {
      const listener: Listener = { ...silent, progress: (text, increment) => told.push([text, increment]) };
      await makeEnvironment(path.join(home, "environments"), lock, python, listener, new AbortController().signal, env);
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
    const steps = told.map(([text]) => text);
    assert.equal(steps[0], "first (1/2, 50 %)");
    assert.match(steps[1] ?? "", /^first \(1\/2, 50 %\), [\d.]+ \w+$/);
    assert.ok(steps.includes("second (2/2, 100 %)"), steps.join());
    assert.equal(told.reduce((sum, [, increment]) => sum + increment, 0), 100);
  });

  it("is made of a folder of wheels where no index can be asked, and a wheel of another content is refused", async () => {
    const folder = path.join(home, "wheels");
    const make = "import sys; from pathlib import Path; from tests.support.wheels import pinned, wheel; print(pinned(wheel(Path(sys.argv[1]), 'carried', '1.0', {'carried.py': 'x = ' + sys.argv[2]})))";
    const wheel = (content: string): string => execFileSync(path.resolve(__dirname, "../../../../.venv/bin/python"), ["-c", make, folder, content], { cwd: path.resolve(__dirname, "../../../.."), encoding: "utf8" });
    writeFileSync(lock, wheel("1"));
    const env = { PATH: process.env["PATH"], PIP_INDEX_URL: "http://127.0.0.1:9", PIP_CONFIG_FILE: "/dev/null", PIP_NO_CACHE_DIR: "1" };
    const from = (place: string): Promise<string> => makeEnvironment(path.join(home, place), lock, python, silent, new AbortController().signal, env, folder);
    const interpreter = await from("environments");
    assert.equal(execFileSync(interpreter, ["-c", "import carried; print(carried.x)"], { encoding: "utf8" }).trim(), "1");
    wheel("2");
    await assert.rejects(from("others"), (error) => error instanceof Problem && /hash/i.test(error.detail ?? "") && error.setting === "slipway.python.wheels");
    rmSync(folder, { recursive: true });
    await assert.rejects(from("none"), (error) => error instanceof Problem && error.setting === "slipway.python.wheels" && error.message.includes(folder));
  });

  it("an update makes one of its own, and going back to the version before needs nothing", async () => {
    const folder = path.join(home, "wheels");
    const make = "import sys; from pathlib import Path; from tests.support.wheels import pinned, wheel; print(pinned(wheel(Path(sys.argv[1]), 'carried', sys.argv[2], {'carried.py': 'x = ' + sys.argv[2][0]})))";
    const pinned = (version: string): string => execFileSync(path.resolve(__dirname, "../../../../.venv/bin/python"), ["-c", make, folder, version], { cwd: path.resolve(__dirname, "../../../.."), encoding: "utf8" });
    const env = { PATH: process.env["PATH"], PIP_INDEX_URL: "http://127.0.0.1:9", PIP_CONFIG_FILE: "/dev/null", PIP_NO_CACHE_DIR: "1" };
    const environments = path.join(home, "environments");
    const started = async (): Promise<string> => (await environment(environments, lock, python)) ?? makeEnvironment(environments, lock, python, silent, new AbortController().signal, env, folder);
    const says = (interpreter: string): string => execFileSync(interpreter, ["-c", "import carried; print(carried.x)"], { encoding: "utf8" }).trim();
    const before = pinned("1.0");
    writeFileSync(lock, before);
    const first = await started();
    writeFileSync(lock, pinned("2.0"));
    assert.equal(await isReady(environments, lock, python), false);
    const second = await started();
    assert.deepEqual([says(first), says(second)], ["1", "2"], "another window may still run the one before");
    rmSync(folder, { recursive: true });
    writeFileSync(lock, before);
    assert.equal(await started(), first);
    assert.equal(says(first), "1");
    assert.equal(readdirSync(environments).length, 2);
  });

  it("another lock or another Python version has another environment", async () => {
    const first = await key(lock, python);
    assert.notEqual(await key(lock, { ...python, version: "3.99.0" }), first);
    writeFileSync(lock, "# something else\n");
    assert.notEqual(await key(lock, python), first);
  });

  it("stopped half-way, nothing that looks complete stays behind", async () => {
    const folder = path.join(home, "environments");
    const stop = new AbortController();
    const making = makeEnvironment(folder, lock, python, { ...silent, line: () => { stop.abort(); } }, stop.signal);
    await assert.rejects(making, { name: "AbortError" });
    assert.deepEqual(readdirSync(folder), []);
    assert.equal(await isReady(folder, lock, python), false);
  });

  it("a package without a hash is refused, with a way on", async () => {
    writeFileSync(lock, "pygls==2.1.1\n");
    const making = made(path.join(home, "environments"));
    await assert.rejects(making, (error) => {
      assert.ok(error instanceof Problem);
      assert.match(error.detail ?? "", /--require-hashes|hashes/i);
      assert.ok(error.suggestion !== undefined);
      return true;
    });
  });

  it("removes an environment that nobody has used for a month, and keeps a recent one", async () => {
    const folder = path.join(home, "environments");
    for (const [name, days] of [["old", 40], ["recent", 3]] as const) {
      mkdirSync(path.join(folder, name), { recursive: true });
      const marker = path.join(folder, name, ".slipway-ready");
      writeFileSync(marker, "");
      const used = new Date(Date.now() - days * 24 * 3600 * 1000);
      utimesSync(marker, used, used);
    }
    await made(folder);
    assert.equal(existsSync(path.join(folder, "old")), false);
    assert.equal(existsSync(path.join(folder, "recent")), true);
  });

  it("two windows that make it at the same time both get the same one", async () => {
    const folder = path.join(home, "environments");
    const [one, other] = await Promise.all([made(folder), made(folder)]);
    assert.equal(one, other);
    assert.equal(readdirSync(folder).length, 1);
  });

  it("names the modules that somebody's own interpreter lacks", async () => {
    assert.deepEqual(await missingModules(python.path, ["json", "no_such_module_here"]), ["no_such_module_here"]);
  });
});
