// What the workspace's configuration says, read as the sidecar reads it.

/** One of the configuration's values: null where none is stated (no app: not provisioned yet), undefined where the text is none.
 * Comments, trailing commas and a byte order mark are accepted, as by the sidecar. */
export function configured(text: string, key: "ACA_APP_NAME" | "ACA_APP_ENDPOINT"): string | null | undefined {
  try {
    const config: unknown = JSON.parse(plain(text));
    if (typeof config !== "object" || config === null || !(key in config)) return undefined;
    const value = (config as Record<string, unknown>)[key];
    return typeof value === "string" ? value : null;
  } catch {
    // Being edited: the sidecar says what is wrong when a command needs it.
    return undefined;
  }
}

/** Azure keeps the case of a resource group's name and tells none apart by it. */
export function sameGroup(one: string, other: string | null): boolean {
  return one.toLowerCase() === other?.toLowerCase();
}

/** Without what JSON does not know. Strings are matched first, so that what looks like a comment in one stays. */
function plain(text: string): string {
  const string = /"(?:\\.|[^"\\])*"/.source;
  const uncommented = text.replace(/^\uFEFF/, "").replace(new RegExp(`(${string})|//[^\\n]*|/\\*[^]*?\\*/`, "g"), "$1");
  return uncommented.replace(new RegExp(`(${string})|,(?=\\s*[}\\]])`, "g"), "$1");
}
