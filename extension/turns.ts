// The text of what VS Code's chat says to a model, and how many tokens that may be.

/** A piece of a message: of text, or of something else, which the endpoint is not told. */
export interface Part {
  readonly value?: unknown;
}

export function told(parts: readonly Part[]): string {
  return parts.map(({ value }) => (typeof value === "string" ? value : "")).join("");
}

/** Rather too many than too few: by the bytes of its UTF-8, of which a token has three or more in most languages. */
export function tokensIn(text: string): number {
  return Math.ceil(Buffer.byteLength(text, "utf8") / 3);
}
