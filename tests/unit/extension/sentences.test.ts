import assert from "node:assert/strict";
import { english, Problem, sentence } from "../../../extension/sentences";

describe("sentences", () => {
  it("are filled in by name, and an unknown hole stays visible", () => {
    assert.equal(english(sentence("{a} and {b}", { a: "x" })), "x and {b}");
  });

  it("an argument that looks like a hole is not filled in again", () => {
    assert.equal(english(sentence("{a} {b}", { a: "{b}", b: "y" })), "{b} y");
  });

  it("a problem's message is its sentence, for logs", () => {
    assert.equal(new Problem(sentence("It is {how}.", { how: "broken" })).message, "It is broken.");
  });
});
