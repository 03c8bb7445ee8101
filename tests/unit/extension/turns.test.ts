import assert from "node:assert/strict";
import { told, tokensIn } from "../../../extension/turns";

describe("what VS Code's chat says to a model", () => {
  it("is its text alone", () => {
    assert.equal(told([{ value: "Who " }, { value: new Uint8Array(2) }, {}, { value: "are you?" }]), "Who are you?");
  });

  it("is counted rather too high than too low", () => {
    assert.equal(tokensIn(""), 0);
    assert.equal(tokensIn("four"), 2);
    assert.equal(tokensIn("日本語"), 3);
  });
});
