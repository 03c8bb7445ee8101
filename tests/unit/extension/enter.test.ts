import assert from "node:assert/strict";
import { meant } from "../../../extension/enter";

describe("Enter in a list whose rows come while it is open", () => {
  it("means the row that VS Code names", () => {
    assert.equal(meant("chosen", "looked at", "cho"), "chosen");
  });

  it("means the row in its place where it named one that has gone meanwhile", () => {
    assert.equal(meant(undefined, "looked at", ""), "looked at");
  });

  it("means nothing where nothing fits what was typed", () => {
    assert.equal(meant(undefined, "hidden by the filter", "no such region"), undefined);
  });
});
