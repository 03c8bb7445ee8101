// What the workspace's configuration says, read as the sidecar reads it.

/** The container app that the configuration names: null until provisioned, undefined where the text is none. Comments,
 * trailing commas and a byte order mark are accepted, as by the sidecar. */
export function configuredApp(text: string): string | null | undefined {
  try {
    const config: unknown = JSON.parse(plain(text));
    if (typeof config !== "object" || config === null || !("ACA_APP_NAME" in config)) return undefined;
    return typeof config.ACA_APP_NAME === "string" ? config.ACA_APP_NAME : null;
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
