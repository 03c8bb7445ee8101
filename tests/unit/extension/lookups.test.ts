import assert from "node:assert/strict";
import { LastList, LastState, pauseAfter } from "../../../extension/lookups";

describe("a list that was read", () => {
  let read: number;
  let list: LastList<string>;

  beforeEach(() => {
    read = 0;
    list = new LastList();
  });

  const answering = (...found: readonly string[]) => (): Promise<readonly string[]> => {
    read += 1;
    return Promise.resolve(found);
  };

  it("is read once for its key, also by two at once", async () => {
    const both = await Promise.all([list.of("release 1", answering("base")), list.of("release 1", answering("base"))]);
    assert.deepEqual(both, [["base"], ["base"]]);
    await list.of("release 1", answering("base"));
    assert.equal(read, 1);
    assert.deepEqual(await list.of("release 2", answering("base", "adapter")), ["base", "adapter"]);
    assert.equal(read, 2);
  });

  it("that is empty, because the app fell asleep meanwhile, is read again once it is awake", async () => {
    assert.deepEqual(await list.of("release 1", answering()), []);
    assert.deepEqual(await list.of("release 1", answering("base")), ["base"]);
  });

  it("that could not be read is read again", async () => {
    await assert.rejects(list.of("release 1", () => Promise.reject(new Error("broken off"))), /broken off/);
    assert.deepEqual(await list.of("release 1", answering("base")), ["base"]);
  });
});

describe("a look at the endpoint that nobody has asked for", () => {
  it("waits, where a replica answers, until one that nobody else asked has ended", () => {
    for (const state of ["ready", "unverified"] as const) assert.ok(pauseAfter({ state, cooldown: 300 }) > 300_000, state);
  });

  it("comes after a minute where nothing is asked by it, or nothing is known", () => {
    for (const state of ["asleep", "stopped", "starting", "missing"] as const) assert.equal(pauseAfter({ state, cooldown: 300 }), 60_000, state);
    assert.equal(pauseAfter(undefined), 60_000);
  });
});

describe("the state of the folder that is shown", () => {
  let last: LastState<string, string>;
  let asked: string[];
  let answer: Map<string, { readonly resolve: (state: string) => void; readonly reject: (failure: unknown) => void }>;
  const found = (): Promise<boolean> => Promise.resolve(last.shown !== undefined);
  const ask = (folder: string): Promise<string> => {
    asked.push(folder);
    return new Promise((resolve, reject) => { answer.set(folder, { resolve, reject }); });
  };
  const turn = (): Promise<void> => new Promise((resolve) => { setImmediate(resolve); });

  beforeEach(() => {
    last = new LastState();
    asked = [];
    answer = new Map();
    last.show("one");
  });

  it("is never what a look at another folder, which was under way, has read", async () => {
    const read = last.read(found, ask);
    await turn();
    last.show("two");
    const second = last.read(found, ask);
    answer.get("one")?.resolve("ready");
    await turn();
    assert.equal(last.state, undefined, "nothing of one stands in the rows of two");
    answer.get("two")?.resolve("asleep");
    await Promise.all([read, second]);
    assert.equal(last.state, "asleep");
    assert.deepEqual(asked, ["one", "two"]);
  });

  it("is not lost to the failure of another folder's look either", async () => {
    const read = last.read(found, ask);
    await turn();
    last.show("two");
    answer.get("one")?.reject(new Error("no network"));
    await turn();
    answer.get("two")?.resolve("ready");
    await read;
    assert.deepEqual([last.state, last.failure], ["ready", undefined]);
  });

  it("goes with the folder, and so does a failure", async () => {
    for (const [settle, kept] of [["resolve", "state"], ["reject", "failure"]] as const) {
      const read = last.read(found, ask);
      await turn();
      answer.get("one")?.[settle]("said");
      await read;
      assert.equal(last[kept], "said");
      last.show("one");
      assert.equal(last[kept], "said", "the same folder keeps it");
      last.show("two");
      assert.equal(last[kept], undefined);
      last.show("one");
    }
  });

  it("stays as it was read, beside the failure of the next look, and goes with what is no longer provisioned", async () => {
    const first = last.read(found, ask);
    await turn();
    answer.get("one")?.resolve("ready");
    await first;
    const second = last.read(found, ask);
    await turn();
    answer.get("one")?.reject(new Error("no network"));
    await second;
    assert.deepEqual([last.state, String(last.failure)], ["ready", "Error: no network"]);
    await last.read(() => Promise.resolve(false), ask);
    assert.deepEqual([last.state, last.failure], [undefined, undefined]);
  });
});
