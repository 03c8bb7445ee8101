import assert from "node:assert/strict";
import { untold, type Remark } from "../../../extension/overlap";

const remark = (line: number, message: string, source: string, code?: Remark["code"]): Remark => ({ range: { start: { line } }, message, source, code });

describe("what Microsoft's Bicep extension tells too", () => {
  const ours = [remark(3, "a is declared nowhere.", "Slipway", "BCP057"), remark(4, "BCP033: Expected a value", "Slipway"), remark(5, "left", "Slipway", "BCP018")];

  it("is told by it alone, by line and code", () => {
    const theirs = [remark(3, 'The name "a" does not exist', "bicep", { value: "BCP057" }), remark(4, "Expected a value", "bicep", "BCP033")];
    assert.deepEqual(untold(ours, [...ours, ...theirs]).map(({ message }) => message), ["left"]);
  });

  it("is told by it alone of a parameters file too, whose codes are Microsoft's", () => {
    const stated = [remark(0, "must have no default", "Slipway", "BCP258"), remark(1, "did you mean a?", "Slipway", "BCP259"), remark(1, "Azure does not take the name", "Slipway", "InvalidResourceName")];
    const theirs = [remark(0, "missing an assignment", "bicep", { value: "BCP258" }), remark(1, "assigned in the params file without being declared", "bicep", { value: "BCP259" })];
    assert.deepEqual(untold(stated, [...stated, ...theirs]).map(({ code }) => code), ["InvalidResourceName"]);
  });

  it("is told by both where it is another one, or of another line", () => {
    assert.deepEqual(untold(ours, [remark(3, "no-unused", "bicep", "no-unused-vars"), remark(6, "x", "bicep", "BCP018")]), ours);
  });

  it("has nothing to do with what others tell", () => {
    assert.deepEqual(untold(ours, [remark(3, "spelling", "cSpell", "BCP057")]), ours);
  });
});
