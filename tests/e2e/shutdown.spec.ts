// A window that is closed while the extension makes its Python environment: nothing goes on by itself.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import path from "node:path";
import { eventually } from "./eventually";
import type { Host } from "./host";
import { Stage } from "./stage";

describe("the extension, shut down while it prepares its Python packages", () => {
  let host: Host;
  const stage = Stage.of("end");
  let index: Server;
  const calls = new Set<Socket>();

  before(async () => {
    mkdirSync(path.join(stage.scratch, "infra"));
    // A package index that takes calls and answers none.
    index = createServer((call) => calls.add(call)).listen(0, "127.0.0.1");
    const address = await eventually("the index listens", 60_000, () => index.address());
    assert.ok(typeof address === "object");
    host = await stage.start({ env: { PIP_INDEX_URL: `http://127.0.0.1:${address.port}/simple`, PIP_NO_CACHE_DIR: "1", PIP_TIMEOUT: "600", NO_PROXY: "127.0.0.1" } });
  });
  after(() => {
    for (const call of calls) call.destroy();
    index.close();
  });

  it("pip ends with it, and nothing half-made stays", async () => {
    const pips = (): number => execFileSync("ps", ["-eo", "args"], { encoding: "utf8" }).split("\n").filter((line) => line.includes(host.globalStorage) && line.includes("pip install")).length;
    const window = await host.open(stage.scratch);
    await window.run("AI Toolkit: Create project files");
    await eventually("pip asks the index", 120_000, () => pips() > 0 && calls.size > 0);
    await window.run("Developer: Reload Window");
    await eventually("pip has ended", 90_000, () => pips() === 0);
    await eventually("what was half-made is removed", 90_000, () => readdirSync(path.join(host.globalStorage, "environments")).length === 0);
  });
});
