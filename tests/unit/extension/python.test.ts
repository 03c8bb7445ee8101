import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { makeEnvironment, missingModules } from "../../../extension/environment";
import { candidates, findPython, newEnough } from "../../../extension/python";
import { Problem } from "../../../extension/sentences";

const installed = execFileSync("python3", ["-c", "import sys; print('%d.%d.%d' % sys.version_info[:3])"], { encoding: "utf8" }).trim();

describe("interpreters", () => {
  it("the setting stands alone: nothing else is tried", () => {
    assert.deepEqual(candidates("/opt/python", "/venv/python"), [{ path: "/opt/python", source: "setting" }]);
  });

  it("the Python extension's interpreter goes before the PATH", () => {
    const [first, second] = candidates("", "/venv/python");
    assert.equal(first?.path, "/venv/python");
    assert.equal(second?.path, "python3.13");
  });

  it("3.11 is new enough, 3.10 and 2.7 are not, and Python 4 is unknown", () => {
    assert.deepEqual(["3.11.0", "3.14.1", "3.10.9", "2.7.18", "4.0.0"].map(newEnough), [true, true, false, false, false]);
  });

  it("a real interpreter is found past one that does not exist, and the log says why", async () => {
    const notes: string[] = [];
    const found = await findPython([{ path: "/nowhere/python", source: "PATH" }, { path: "python3", source: "PATH" }], (line) => notes.push(line));
    assert.equal(found.version, installed);
    assert.match(found.path, /^\//);
    assert.match(notes[0] ?? "", /\/nowhere\/python: not found/);
  });

  it("a setting that can't be used is refused with its path, not passed over", async () => {
    const broken = candidates("/nowhere/python", undefined);
    await assert.rejects(findPython([...broken, { path: "python3", source: "PATH" }], () => undefined), (error) => {
      assert.ok(error instanceof Problem);
      assert.equal(error.what.args["path"], "/nowhere/python");
      assert.match(error.suggestion?.message ?? "", /3\.11 or newer/);
      return true;
    });
  });

  it("a program that is no Python is passed over", async () => {
    const notes: string[] = [];
    await findPython([{ path: "true", source: "PATH" }, { path: "python3", source: "PATH" }], (line) => notes.push(line));
    assert.match(notes[0] ?? "", /^Not usable \(PATH\): true/);
  });

  it("one that can make no environment is passed over for one that can, and better than none", async () => {
    const folder = mkdtempSync(path.join(tmpdir(), "sw-python-"));
    const bare = path.join(folder, "python3");
    writeFileSync(bare, `#!/bin/sh\nexec python3 -c "import importlib.util as u; f = u.find_spec; u.find_spec = lambda n: None if n == 'ensurepip' else f(n); import sys; exec(sys.argv[-1])" "$@"\n`, { mode: 0o755 });
    const notes: string[] = [];
    const among = [{ path: bare, source: "Python extension" }, { path: "python3", source: "PATH" }] as const;
    assert.equal((await findPython(among, (line) => notes.push(line))).hasEnsurepip, true);
    assert.match(notes[0] ?? "", /ensurepip is missing \(Python extension\)/);
    assert.equal((await findPython(among.slice(0, 1), () => undefined)).hasEnsurepip, false);
    rmSync(folder, { recursive: true });
  });

  it("runs nothing of the folder that VS Code was started in", async () => {
    const [folder, before] = [mkdtempSync(path.join(tmpdir(), "sw-python-")), process.cwd()];
    const modules = ["json", "venv", "pip", "runpy", "sitecustomize"];
    for (const each of modules) writeFileSync(path.join(folder, `${each}.py`), `open(${JSON.stringify(path.join(folder, "ran"))}, "a").write("${each}\\n")\nraise SystemExit(1)\n`);
    process.chdir(folder);
    try {
      const python = await findPython([{ path: "python3", source: "PATH" }], () => undefined);
      assert.equal(python.version, installed);
      assert.deepEqual(await missingModules(python.path, ["json", "no_such_module"]), ["no_such_module"]);
      // An empty lock: an environment is made, and pip asked for nothing.
      const lock = path.join(folder, "lock.txt");
      writeFileSync(lock, "");
      await makeEnvironment(path.join(folder, "environments"), lock, python, { progress: () => undefined, line: () => undefined }, new AbortController().signal);
      assert.equal(existsSync(path.join(folder, "ran")), false);
    } finally {
      process.chdir(before);
      rmSync(folder, { recursive: true });
    }
  });

  it("none at all: the message says what to install", async () => {
    await assert.rejects(findPython([], () => undefined), /Python 3\.11 or newer/);
  });
});
