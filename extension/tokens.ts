// What an access token says about itself.

/** When the token ends, in seconds since 1970. A token that does not say so itself is asked for again after five minutes. */
export function expiry(token: string): number {
  const fallback = Math.floor(Date.now() / 1000) + 300;
  const payload = token.split(".")[1];
  if (payload === undefined) return fallback;
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, "base64url").toString("utf8"));
    return typeof claims === "object" && claims !== null && "exp" in claims && typeof claims.exp === "number" ? claims.exp : fallback;
  } catch {
    return fallback;
  }
}
