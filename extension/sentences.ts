// Sentences for a person: an English template, which is the key of the catalogue, and its arguments.
import type { Sentence } from "./protocol";

/** A sentence that is said later, where the user's language is known. `npm run check:l10n` collects the template. */
export function sentence(message: string, args: Record<string, string> = {}): Sentence {
  return { message, args };
}

/** A failure that a person can do something about. */
export class Problem extends Error {
  constructor(
    readonly what: Sentence,
    readonly suggestion?: Sentence,
    /** What another program said, for the log. */
    readonly detail?: string,
    /** The setting by which it is put right. */
    readonly setting?: string,
  ) {
    super(english(what));
    this.name = "Problem";
  }
}

/** The sentence in English, for logs that no person asked for and for tests. */
export function english({ message, args }: Sentence): string {
  return message.replace(/\{(\w+)\}/g, (hole, name: string) => {
    const value = args[name];
    return value === undefined ? hole : typeof value === "string" ? value : english(value);
  });
}
