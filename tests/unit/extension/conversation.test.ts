import assert from "node:assert/strict";
import { again, begun, chosen, ended, failed, fresh, grown, live, messagesFor, named, NO_SAMPLING, requestFor, restored, starts, within, wrong } from "../../../extension/webview/conversation";
import type { Kept } from "../../../extension/webview/messages";
import { segments } from "../../../extension/webview/segments";

const WHO = { model: "pirate", release: "1".repeat(64), hash: null };

function answered(kept: Kept, question: string, said: Readonly<Record<string, string>>): Kept {
  let now = begun(kept, question, Object.keys(said).map((model) => ({ id: `${question} ${model}`, model })));
  for (const [model, text] of Object.entries(said)) now = ended(grown(named(now, `${question} ${model}`, WHO), `${question} ${model}`, text, false), `${question} ${model}`, "stop", 3);
  return now;
}

describe("the conversation of a chat tab", () => {
  it("starts nothing by what is kept, copied or stopped, and something by all that asks", () => {
    const request = requestFor(fresh("folder"), "pirate");
    for (const message of [{ type: "ready" }, { type: "keep", kept: fresh("folder") }, { type: "copy", text: "x" }, { type: "stop", id: "1" }, { type: "stopWaking" }] as const) assert.equal(starts(message), false, message.type);
    for (const message of [{ type: "look" }, { type: "wake" }, { type: "ask", id: "1", request }, { type: "code", language: "curl", request }, { type: "go", way: "slipway.deploy" }] as const) assert.equal(starts(message), true, message.type);
  });

  it("grows piece by piece, by who answers, and is awaited until it has ended", () => {
    let kept = begun(fresh("file:///a"), "Who?", [{ id: "1", model: "pirate" }]);
    assert.deepEqual(live(kept), ["1"]);
    kept = grown(grown(grown(named(kept, "1", WHO), "1", "I ", false), "1", "hm", true), "1", "be.", false);
    const [answer] = kept.turns[0]!.answers;
    assert.deepEqual([answer?.text, answer?.thought, answer?.who, answer?.state], ["I be.", "hm", WHO, "growing"]);
    kept = ended(kept, "1", "length", 2);
    assert.deepEqual([kept.turns[0]!.answers[0]!.state, live(kept)], ["cut", []]);
  });

  it("takes no piece of an answer that it does not know, of a conversation that was left behind", () => {
    const kept = fresh("file:///a");
    assert.equal(grown(kept, "gone", "text", false), kept);
  });

  it("tells each of two models what that one said itself", () => {
    const kept = begun(answered(answered(fresh(""), "A?", { base: "a", pirate: "arr" }), "B?", { base: "b" }), "C?", [{ id: "c", model: "pirate" }]);
    assert.deepEqual(messagesFor(kept, "pirate").map(({ content }) => content), ["A?", "arr", "B?", "b", "C?"]);
    assert.deepEqual(messagesFor(kept, "base").map(({ content }) => content), ["A?", "a", "B?", "b", "C?"]);
  });

  it("leaves out a question that nobody answered, which many chat templates would refuse", () => {
    const silent = failed(begun(fresh(""), "A?", [{ id: "a", model: "m" }]), "a", "asleep");
    const kept = begun({ ...silent, sampling: { ...NO_SAMPLING, system: "Be brief." } }, "B?", [{ id: "b", model: "m" }]);
    assert.deepEqual(messagesFor(kept, "m"), [{ role: "system", content: "Be brief." }, { role: "user", content: "B?" }]);
  });

  it("asks with what was written, and leaves the rest to the server", () => {
    const kept = begun({ ...fresh(""), sampling: { ...NO_SAMPLING, temperature: "0,5", maxTokens: "", seed: " 7 " } }, "A?", []);
    assert.deepEqual(requestFor(kept, "m"), { model: "m", messages: [{ role: "user", content: "A?" }], temperature: 0.5, topP: null, maxTokens: null, seed: 7 });
  });

  it("names the fields that hold no number to ask with", () => {
    assert.deepEqual(wrong(NO_SAMPLING), []);
    assert.deepEqual(wrong({ system: "", temperature: "2.1", topP: "0", maxTokens: "1.5", seed: "x" }), ["temperature", "topP", "maxTokens", "seed"]);
    assert.deepEqual(wrong({ system: "", temperature: "2", topP: "1", maxTokens: "1", seed: "0" }), []);
  });

  it("asks the last question once more, of whom it was asked", () => {
    const kept = again(answered(answered(fresh(""), "A?", { base: "a" }), "B?", { base: "b", pirate: "arr" }), () => "new");
    assert.deepEqual(kept.turns[1]!.answers.map(({ asked, text, state }) => [asked, text, state]), [["base", "", "waiting"], ["pirate", "", "waiting"]]);
    assert.equal(kept.turns[0]!.answers[0]!.text, "a");
  });

  it("chooses the adapter at first, and who was chosen before while that one is there", () => {
    const models = [{ name: "base", base: true }, { name: "pirate", base: false }, { name: "poet", base: false }];
    const first = chosen(fresh(""), models);
    assert.deepEqual([first.model, first.against], ["pirate", "base"]);
    assert.equal(chosen({ ...first, model: "poet" }, models).model, "poet");
    const alone = chosen({ ...first, model: "poet", comparing: true }, models.slice(0, 1));
    assert.deepEqual([alone.model, alone.comparing], ["base", false], "there is nobody to compare with");
  });

  it("comes back as it was, and an answer that nobody waits for any more counts as stopped", () => {
    const kept = begun(answered(fresh("file:///a"), "A?", { base: "a" }), "B?", [{ id: "b", model: "base" }]);
    const back = restored(JSON.parse(JSON.stringify(kept)));
    assert.equal(back?.turns[0]!.answers[0]!.state, "whole");
    assert.deepEqual(back.turns[1]!.answers[0], { ...kept.turns[1]!.answers[0]!, state: "stopped" });
    for (const odd of [undefined, null, 3, {}, { version: 2 }, { version: 1, folder: "f" }, { version: 1, folder: 3, turns: [] }]) assert.equal(restored(odd), undefined);
    assert.deepEqual(restored({ version: 1, folder: "f", turns: [3, { answers: [{ text: 1 }] }] })?.turns.map(({ answers }) => answers.length), [1]);
  });

  it("keeps the newest turns that fit", () => {
    const kept = answered(answered(answered(fresh(""), "A?", { base: "a" }), "B?", { base: "b" }), "C?", { base: "c" });
    const one = JSON.stringify(kept.turns[0]).length;
    assert.equal(within(kept, one * 5), kept);
    assert.deepEqual(within(kept, one * 2 + 5).turns.map(({ question }) => question), ["B?", "C?"]);
    assert.deepEqual(within(kept, 1).turns, []);
  });
});

describe("an answer's text", () => {
  it("is prose and blocks of code, and stays text", () => {
    const text = "Look:\n\n```python\nprint('<b>')\n```\nand <script>alert(1)</script>";
    assert.deepEqual(segments(text), [
      { kind: "prose", text: "Look:" },
      { kind: "code", text: "print('<b>')", language: "python" },
      { kind: "prose", text: "and <script>alert(1)</script>" },
    ]);
  });

  it("is code as soon as a block has begun, while it still grows", () => {
    assert.deepEqual(segments("```\na = 1\n``"), [{ kind: "code", text: "a = 1\n``", language: "" }]);
  });

  it("ends a block by its own mark only", () => {
    assert.deepEqual(segments("````md\n```\nx\n```\n````"), [{ kind: "code", text: "```\nx\n```", language: "md" }]);
    assert.deepEqual(segments("~~~\n```\n~~~"), [{ kind: "code", text: "```", language: "" }]);
    assert.deepEqual(segments("```not``` a block"), [{ kind: "prose", text: "```not``` a block" }]);
  });
});
