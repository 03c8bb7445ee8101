import assert from "node:assert/strict";
import { isFrom } from "../../../extension/versions";

describe("the version of VS Code", () => {
  it("is compared by its numbers", () => {
    assert.deepEqual(["1.104.0", "1.104.0-insider", "1.139.1", "2.0.0"].map((each) => isFrom(each, 1, 104)), [true, true, true, true]);
    assert.deepEqual(["1.100.3", "1.95.0", "1.103.9", "0.200.0", "?"].map((each) => isFrom(each, 1, 104)), [false, false, false, false, false]);
  });
});
