import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { toolServer } from "../../../extension/toolserver";

describe("the server of tools", () => {
  let scratch: string;

  beforeEach(() => {
    scratch = mkdtempSync(path.join(tmpdir(), "slipway-tools-"));
  });
  afterEach(() => {
    rmSync(scratch, { recursive: true, force: true });
  });

  const package_ = (home: string, says: string): string => {
    mkdirSync(path.join(scratch, home, "sidecar"), { recursive: true });
    writeFileSync(path.join(scratch, home, "sidecar", "__main__.py"), `import sys\nprint(${JSON.stringify(says)}, *sys.argv[1:])\n`);
    return path.join(scratch, home);
  };

  it("is ours, whatever lies in the folder that it is started in", () => {
    const [ours, theirs] = [package_("extension", "ours"), package_("project", "theirs")];
    const { command, args, env } = toolServer({ command: "python3", env: { PYTHONUTF8: "1" }, cwd: ours }, [theirs]);
    // As VS Code does: its own variables, and over them these.
    const around: NodeJS.ProcessEnv = { ...process.env, PYTHONHOME: path.join(scratch, "nowhere") };
    for (const [name, value] of Object.entries(env)) {
      if (value === null) Reflect.deleteProperty(around, name);
      else around[name] = value;
    }
    const said = execFileSync(command, args, { cwd: theirs, env: around, encoding: "utf8" });
    assert.equal(said.trim(), `ours mcp ${theirs}`);
  });
});
