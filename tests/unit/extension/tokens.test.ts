import assert from "node:assert/strict";
import { expiry } from "../../../extension/tokens";

const token = (claims: unknown): string => `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.c2ln`;

describe("access tokens", () => {
  it("say themselves when they end", () => {
    assert.equal(expiry(token({ exp: 1_900_000_000 })), 1_900_000_000);
  });

  it("that say nothing readable are asked for again after five minutes", () => {
    for (const opaque of ["opaque", "a.b.c", token({}), token(null), token({ exp: "soon" })]) {
      const inFiveMinutes = Math.floor(Date.now() / 1000) + 300;
      assert.ok(Math.abs(expiry(opaque) - inFiveMinutes) <= 1, opaque);
    }
  });
});
