// The language of a test's VS Code: a language pack that changes none of VS Code's own words, so that each other language is ours.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";

/** A language that nobody speaks: each letter of ours is another one than the keyboard's, and what is said is longer. */
export const PSEUDO = "qps-ploc";

/** Before the server starts: VS Code takes a locale only where a language pack stands for it. */
export function speak(home: string, locale: string): void {
  const contents = path.join(home, "data/language.json");
  writeFileSync(contents, JSON.stringify({ version: "1.0.0", contents: {} }));
  const pack = { hash: "of-the-tests", label: locale, extensions: [{ extensionIdentifier: { id: "tests.language" }, version: "1.0.0" }], translations: { vscode: contents } };
  writeFileSync(path.join(home, "data/languagepacks.json"), JSON.stringify({ [locale]: pack }));
}

/** Puts the made-up language into an installed extension, as its translators would. */
export function speakPseudo(extension: string): void {
  for (const [from, to] of [["extension/l10n/bundle.l10n.json", `extension/l10n/bundle.l10n.${PSEUDO}.json`], ["package.nls.json", `package.nls.${PSEUDO}.json`]] as const) {
    const english = JSON.parse(readFileSync(path.join(extension, from), "utf8")) as Readonly<Record<string, string>>;
    mkdirSync(path.dirname(path.join(extension, to)), { recursive: true });
    writeFileSync(path.join(extension, to), JSON.stringify(Object.fromEntries(Object.entries(english).map(([key, text]) => [key, pseudo(text)]))));
  }
  const steps = path.join(extension, "extension/media/walkthrough");
  for (const file of readdirSync(steps).filter((each) => /^\w+\.md$/.test(each))) {
    writeFileSync(path.join(steps, file.replace(".md", `.nls.${PSEUDO}.md`)), pseudo(readFileSync(path.join(steps, file), "utf8")));
  }
}

const KEYBOARD = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
const OTHERS = "àƀćđēƒĝħĩĵķľɱńōƥƣŕšţũṽŵẋŷžÀƁĆĐĒƑĜĦĨĴĶĽṀŃŌƤɊŔŠŢŨṼŴẊŶŽ";

function other(letter: string): string {
  return OTHERS[KEYBOARD.indexOf(letter)] ?? letter;
}

/** Links, holes and commands stay as they are; the rest is said in other letters, a third longer. */
export function pseudo(text: string): string {
  const kept = /\{\w+\}|\]\([^)]*\)|`[^`]*`|\$\([\w-]+\)|https?:\/\/\S+/g;
  let said = "";
  let at = 0;
  for (const each of [...text.matchAll(kept), undefined]) {
    said += text.slice(at, each?.index ?? text.length).replace(/[A-Za-z]/g, other);
    if (each === undefined) break;
    said += each[0];
    at = each.index + each[0].length;
  }
  const more = "ōŕđš ŵ".repeat(text.length).slice(0, Math.ceil(text.length / 3)).trim();
  return text.includes("\n") || text.length < 2 ? said : `${said} ${more}`;
}

/** What the extension says in a language, by its English. */
export class Catalogue {
  constructor(
    private readonly messages: Readonly<Record<string, string>>,
    private readonly manifest: Readonly<Record<string, string>>,
  ) {}

  static of(locale: string, root: string): Catalogue {
    const read = (file: string): Readonly<Record<string, string>> => JSON.parse(readFileSync(path.join(root, file), "utf8")) as Readonly<Record<string, string>>;
    const [messages, manifest] = [`extension/l10n/bundle.l10n${locale === PSEUDO ? "" : `.${locale}`}.json`, `package.nls${locale === PSEUDO ? "" : `.${locale}`}.json`].map(read) as [Readonly<Record<string, string>>, Readonly<Record<string, string>>];
    if (locale !== PSEUDO) return new Catalogue(messages, manifest);
    const made = (english: Readonly<Record<string, string>>): Readonly<Record<string, string>> => Object.fromEntries(Object.entries(english).map(([key, text]) => [key, pseudo(text)]));
    return new Catalogue(made(messages), made(manifest));
  }

  /** A message, with what stands in its holes. */
  say(english: string, args: Readonly<Record<string, string>> = {}): string {
    return this.template(english).replace(/\{(\w+)\}/g, (hole, name: string) => args[name] ?? hole);
  }

  /** A message whatever stands in its holes. */
  like(english: string): RegExp {
    return new RegExp(this.template(english).split(/\{\w+\}/).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("[^]+?"));
  }

  /** A text of package.json. */
  titled(key: string): string {
    const text = this.manifest[key];
    if (text === undefined) throw new Error(`package.nls has no ${key}`);
    return text;
  }

  /** What a link of a text of package.json is called. */
  linked(key: string, command: string): string {
    const found = new RegExp(`\\[([^\\]]+)\\]\\(command:${command}[)?]`).exec(this.titled(key))?.[1];
    if (found === undefined) throw new Error(`${key} has no link to ${command}`);
    return found;
  }

  private template(english: string): string {
    const text = this.messages[english];
    if (text === undefined) throw new Error(`the bundle has no “${english}”`);
    return text;
  }
}

/** Words in letters of the keyboard that are no data: in `PSEUDO` whoever says them has not been translated. */
export function bareWords(text: string, data: readonly RegExp[]): readonly string[] {
  const left = data.reduce((rest, each) => rest.replace(each, " "), text);
  return [...left.matchAll(/[A-Za-z][A-Za-z']{2,}/g)].map(([word]) => word);
}
