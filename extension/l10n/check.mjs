// The catalogue of messages: every key that the code uses, and no other. `--write` brings the English bundle up to date.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const here = path.dirname(fileURLToPath(import.meta.url));
const root = path.join(here, "..", "..");
const english = path.join(here, "bundle.l10n.json");

/** @type {string[]} */
const problems = [];
const messages = [...new Set([...typescriptMessages(), ...pythonMessages()])].filter(hasWords).sort();
if (process.argv.includes("--write")) writeFileSync(english, `${JSON.stringify(Object.fromEntries(messages.map((each) => [each, each])), null, 2)}\n`);
checkBundles();
checkManifest();
for (const problem of problems) console.error(problem);
console.log(`${String(messages.length)} messages, ${String(problems.length)} problems`);
process.exit(problems.length === 0 ? 0 : 1);

/** The templates in `l10n.t("…")` and `sentence("…")`: always a literal there, or nobody could translate them. */
function typescriptMessages() {
  const found = [];
  const folder = path.join(root, "extension");
  for (const file of readdirSync(folder).filter((each) => each.endsWith(".ts"))) {
    const source = ts.createSourceFile(file, readFileSync(path.join(folder, file), "utf8"), ts.ScriptTarget.Latest, true);
    const visit = (/** @type {ts.Node} */ node) => {
      if (ts.isCallExpression(node)) {
        const callee = node.expression.getText(source);
        const first = node.arguments[0];
        if (callee === "vscode.l10n.t" || callee === "sentence") {
          if (first !== undefined && ts.isStringLiteralLike(first)) found.push(first.text);
          // messages.ts translates what was written elsewhere; that is the one place for it.
          else if (file !== "messages.ts") problems.push(`extension/${file}: ${callee}(…) needs a literal: ${node.getText(source).slice(0, 80)}`);
        }
      }
      ts.forEachChild(node, visit);
    };
    visit(source);
  }
  return found;
}

/** The templates in the sidecar's `Text("…")`. */
function pythonMessages() {
  const own = path.join(root, ".venv", process.platform === "win32" ? "Scripts/python.exe" : "bin/python");
  const done = spawnSync(existsSync(own) ? own : "python3", [path.join(here, "templates.py"), path.join(root, "sidecar")], { encoding: "utf8" });
  if (done.status !== 0) throw new Error(done.stderr);
  const { found, problems: wrong } = JSON.parse(done.stdout);
  problems.push(...wrong);
  return found;
}

/** Every bundle has exactly the keys in use, and a translation names the same holes as its English. */
function checkBundles() {
  for (const file of readdirSync(here).filter((each) => /^bundle\.l10n.*\.json$/.test(each))) {
    const bundle = JSON.parse(readFileSync(path.join(here, file), "utf8"));
    compare(`extension/l10n/${file}`, messages, Object.keys(bundle));
    for (const [key, value] of Object.entries(bundle)) {
      if (holes(key) !== holes(value)) problems.push(`extension/l10n/${file}: other {holes} than in English: ${key}`);
    }
  }
}

/** Every package.nls*.json has exactly the keys that package.json names. */
function checkManifest() {
  const used = [...readFileSync(path.join(root, "package.json"), "utf8").matchAll(/"%([\w.]+)%"/g)].map((each) => each[1]);
  for (const file of readdirSync(root).filter((each) => /^package\.nls.*\.json$/.test(each))) {
    compare(file, used, Object.keys(JSON.parse(readFileSync(path.join(root, file), "utf8"))));
  }
}

/** @param {string} file @param {string[]} used @param {string[]} present */
function compare(file, used, present) {
  for (const key of used) if (!present.includes(key)) problems.push(`${file}: missing: ${key} (npm run fix:l10n writes the English bundle)`);
  for (const key of present) if (!used.includes(key)) problems.push(`${file}: unused: ${key}`);
}

/** What is holes and marks alone is the same in every language. @param {string} text */
function hasWords(text) {
  return /\p{L}/u.test(text.replace(/\{\w+\}/g, ""));
}

/** @param {string} text */
function holes(text) {
  return [...new Set([...text.matchAll(/\{(\w+)\}/g)].map((each) => each[1]))].sort().join();
}
