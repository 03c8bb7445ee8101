// The catalogue of messages: every key that the code uses and no other, in English and in each language.
//   --write          brings the English bundle up to date and drops from the others what nobody says any more
//   --missing LANG   prints what LANG has not: {English: ""} of messages, {key: English} of the manifest
//   --take LANG FILE puts translations in that form into LANG
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const here = path.dirname(fileURLToPath(import.meta.url));
const root = path.join(here, "..", "..");

/** Beside English; and of those that are not written in Latin letters, the letters of which something must be in each text. */
const LANGUAGES = ["cs", "de", "ja", "ru", "zh-cn"];
const LETTERS = { ja: /[\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Han}]/u, ru: /\p{Script=Cyrillic}/u, "zh-cn": /\p{Script=Han}/u };

/** @type {string[]} */
const problems = [];
const messages = [...new Set([...typescriptMessages(), ...pythonMessages()])].filter(hasWords).sort();
const manifest = new Set([...readFileSync(path.join(root, "package.json"), "utf8").matchAll(/"%([\w.]+)%"/g)].map((each) => each[1]));
const [way, language, file] = process.argv.slice(2);
if (way === "--write") write();
if (way === "--missing") missing(language);
else {
  if (way === "--take") take(language, JSON.parse(readFileSync(file, "utf8")));
  check();
}

/** @param {string} language */
function bundleOf(language) {
  return path.join(here, language === "" ? "bundle.l10n.json" : `bundle.l10n.${language}.json`);
}

/** @param {string} language */
function manifestOf(language) {
  return path.join(root, language === "" ? "package.nls.json" : `package.nls.${language}.json`);
}

/** @param {string} file @returns {Record<string, string>} */
function read(file) {
  return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : {};
}

/** @param {string} file @param {readonly (readonly [string, string])[]} texts */
function save(file, texts) {
  writeFileSync(file, `${JSON.stringify(Object.fromEntries(texts), null, 2)}\n`);
}

function write() {
  save(bundleOf(""), messages.map((each) => [each, each]));
  for (const language of LANGUAGES) {
    const texts = read(bundleOf(language));
    save(bundleOf(language), messages.filter((each) => each in texts).map((each) => [each, texts[each]]));
  }
}

/** @param {string} language */
function missing(language) {
  const [texts, titles, english] = [read(bundleOf(language)), read(manifestOf(language)), read(manifestOf(""))];
  const lacking = messages.filter((each) => !(each in texts)).map((each) => [each, ""]);
  const untitled = [...manifest].filter((each) => !(each in titles)).map((each) => [each, english[each]]);
  console.log(JSON.stringify(Object.fromEntries([...lacking, ...untitled]), null, 2));
}

/** @param {string} language @param {Record<string, string>} given */
function take(language, given) {
  const texts = { ...read(bundleOf(language)), ...given };
  const titles = { ...read(manifestOf(language)), ...given };
  save(bundleOf(language), messages.filter((each) => each in texts).map((each) => [each, texts[each]]));
  save(manifestOf(language), Object.keys(read(manifestOf(""))).filter((each) => each in titles).map((each) => [each, titles[each]]));
}

function check() {
  for (const language of ["", ...LANGUAGES]) {
    compare(bundleOf(language), messages);
    compare(manifestOf(language), [...manifest]);
    if (language !== "") translated(language);
  }
  for (const problem of problems) console.error(problem);
  console.log(`${String(messages.length)} messages in ${String(LANGUAGES.length + 1)} languages, ${String(problems.length)} problems`);
  process.exit(problems.length === 0 ? 0 : 1);
}

/** Every text is in the language, names the same holes as its English, and the walkthrough's pages are there. @param {string} language */
function translated(language) {
  const english = read(manifestOf(""));
  // What is the same in both: lines of equal.txt, for all languages or, behind its name, for one.
  const lines = readFileSync(path.join(here, "equal.txt"), "utf8").split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  const equal = new Set(lines.map((line) => /^(?:\[([\w-]+)\] )?(.*)$/.exec(line)).filter((line) => line[1] === undefined || line[1] === language).map((line) => line[2]));
  const texts = [...Object.entries(read(bundleOf(language))), ...Object.entries(read(manifestOf(language))).map(([key, text]) => [english[key] ?? key, text])];
  for (const [from, text] of texts) {
    if (holes(from) !== holes(text)) problems.push(`${language}: other {holes} than in English: ${from}`);
    if (commands(from) !== commands(text)) problems.push(`${language}: other links than in English: ${from}`);
    if (text.trim() === "") problems.push(`${language}: empty: ${from}`);
    else if (equal.has(from)) continue;
    else if (text === from) problems.push(`${language}: as in English (equal.txt names what may be): ${from}`);
    else if (LETTERS[language] !== undefined && !LETTERS[language].test(text)) problems.push(`${language}: without a letter of the language: ${text}`);
  }
  const steps = path.join(root, "extension", "media", "walkthrough");
  for (const page of readdirSync(steps).filter((each) => /^\w+\.md$/.test(each))) {
    if (!existsSync(path.join(steps, page.replace(".md", `.nls.${language}.md`)))) problems.push(`${language}: no page of the walkthrough: ${page}`);
  }
}

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

/** The file has exactly these keys. @param {string} file @param {readonly string[]} used */
function compare(file, used) {
  const present = read(file);
  const name = path.relative(root, file);
  const lacking = used.filter((key) => !(key in present));
  if (lacking.length > 0) problems.push(`${name}: ${String(lacking.length)} missing: ${lacking.slice(0, 3).join(" | ")} (npm run fix:l10n writes the English ones; --missing LANG prints them)`);
  for (const key of Object.keys(present)) if (!used.includes(key)) problems.push(`${name}: unused (npm run fix:l10n drops it): ${key}`);
}

/** What is holes and marks alone is the same in every language. @param {string} text */
function hasWords(text) {
  return /\p{L}/u.test(text.replace(/\{\w+\}/g, ""));
}

/** @param {string} text */
function holes(text) {
  return [...new Set([...text.matchAll(/\{(\w+)\}/g)].map((each) => each[1]))].sort().join();
}

/** The commands that a text links to. @param {string} text */
function commands(text) {
  return [...text.matchAll(/\]\((command:[^)]+)\)/g)].map((each) => each[1]).sort().join();
}
