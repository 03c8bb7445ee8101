// The order of the extension's modules: seen to refuse what points upwards, and what has no place.
import assert from "node:assert/strict";
import path from "node:path";
import process from "node:process";
import { ESLint } from "eslint";

interface Config {
  readonly ORDER: readonly (readonly string[])[];
  ordered(modules: readonly string[]): unknown;
}

const root = path.resolve(__dirname, "../../../..");

describe("the order of the extension's modules", () => {
  let config: Config;
  let eslint: ESLint;

  before(async () => {
    // On CI the parser would take each file from the disk, once, and not the text that it is given.
    process.env["TSESTREE_SINGLE_RUN"] = "false";
    config = (await import(path.join(root, "eslint.config.mjs"))) as Config;
    eslint = new ESLint({ cwd: root });
  });

  async function refused(module: string, imported: string): Promise<boolean> {
    const [result] = await eslint.lintText(`import "./${imported}";\n`, { filePath: path.join(root, `extension/${module}.ts`) });
    return result?.messages.some(({ ruleId, message }) => ruleId === "@typescript-eslint/no-restricted-imports" && message.includes("Imports point downwards")) ?? false;
  }

  it("refuses an import upwards, or of a neighbour, from every row", async function () {
    this.timeout(240_000);
    const written = config.ORDER.slice(0, -1); // the last row, protocol.ts, is generated and imports nothing
    for (const [index, row] of written.entries()) {
      const [module] = row;
      const above = config.ORDER[index - 1]?.[0] ?? row[1];
      const below = config.ORDER[index + 1]?.[0];
      assert.ok(module !== undefined);
      if (above !== undefined) assert.ok(await refused(module, above), `${module} may import ${above}`);
      if (row[1] !== undefined) assert.ok(await refused(module, row[1]), `${module} may import its neighbour ${row[1]}`);
      if (below !== undefined) assert.ok(!(await refused(module, below)), `${module} may not import ${below}`);
    }
  });

  it("refuses a module that stands in no row", () => {
    assert.throws(() => config.ordered([...config.ORDER.flat(), "stray"]), /stray/);
  });
});
