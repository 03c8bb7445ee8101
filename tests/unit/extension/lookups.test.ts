import assert from "node:assert/strict";
import { LastList, pauseAfter } from "../../../extension/lookups";

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
