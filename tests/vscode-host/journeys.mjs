// Runs the journeys in a real VS Code, each file by a Mocha of its own: `npm run test:e2e`, or `npm run test:e2e -- chat journey`.
//
// A file's tests build on one another, so the first red one ends its file; the other files run all the same, and what is red is told
// again at the end, in one place. A red file is begun anew once, when all others have ended. If it is green then, that is told as
// UNSTEADY, never as green: a window that another program draws can be late, and so can we (DECISIONS.md).
import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");
const built = path.join(root, "build", "tests", "e2e");
/** Lines of a red file that are told again at the end: Mocha's failure with what the window said. */
const END = 60;

const there = readdirSync(built).flatMap((each) => (each.endsWith(".spec.cjs") ? [each.slice(0, -".spec.cjs".length)] : [])).sort();
const asked = process.argv.slice(2);
const unknown = asked.filter((each) => !there.includes(each));
if (unknown.length > 0) {
  console.error(`There is no journey ${unknown.join(", ")}. There are: ${there.join(", ")}`);
  process.exit(2);
}

const results = [];
for (const each of asked.length > 0 ? asked : there) results.push(await journey(each));
const red = results.filter((each) => !each.green);
const again = [];
for (const each of red) again.push(await journey(each.name));
for (const each of red) console.log(`\n▸ ${each.name}, the first time, ended so:\n${each.end}`);
for (const each of again.filter((one) => !one.green)) console.log(`\n▸ ${each.name}, the second time, ended so:\n${each.end}`);
const lasting = again.filter((each) => !each.green).map((each) => each.name);
for (const each of again.filter((one) => one.green)) console.log(`UNSTEADY: ${each.name} was red once and green when begun anew`);
const passed = results.reduce((sum, each) => sum + each.passing, 0) + again.reduce((sum, each) => sum + (each.green ? each.passing : 0), 0);
console.log(`${passed} passing in ${results.length} journeys; red: ${lasting.join(", ") || "none"}`);
process.exitCode = lasting.length > 0 ? 1 : 0;

function journey(name) {
  console.log(`\n▸ ${name}`);
  const began = Date.now();
  return new Promise((resolve, reject) => {
    const mocha = path.join(root, "node_modules", "mocha", "bin", "mocha.js");
    const child = spawn(process.execPath, [mocha, "--timeout", "600000", "--bail", path.join(built, `${name}.spec.cjs`)], { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
    let said = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (chunk) => {
        said += chunk;
        process.stdout.write(chunk);
      });
    }
    child.on("error", reject);
    child.on("close", (status) => {
      console.log(`▸ ${name}: ${status === 0 ? "green" : "RED"} after ${Math.round((Date.now() - began) / 1000)} s`);
      const passing = Number(/^\s+(\d+) passing/m.exec(said)?.[1] ?? 0);
      resolve({ name, green: status === 0, passing: status === 0 ? passing : 0, end: said.trimEnd().split("\n").slice(-END).join("\n") });
    });
  });
}
