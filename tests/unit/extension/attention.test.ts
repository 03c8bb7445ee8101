import assert from "node:assert/strict";
import { Attention } from "../../../extension/attention";

describe("attention", () => {
  it("is paid while a command runs, whatever comes of it", async () => {
    const attention = new Attention();
    const first = open<string>();
    const second = open<string>();
    const [one, two] = [attention.during(() => first.promise), attention.during(() => second.promise)];
    first.resolve("done");
    assert.equal(await one, "done");
    assert.equal(attention.isPaid, true);
    second.reject(new Error("failed"));
    await assert.rejects(two, /failed/);
    assert.equal(attention.isPaid, false);
  });

  it("is paid to what goes on for hours until it has begun", async () => {
    const attention = new Attention();
    const begun = open<undefined>();
    const running = open<string>();
    const followed = attention.until(begun.promise, () => running.promise);
    assert.equal(attention.isPaid, true);
    begun.resolve(undefined);
    await new Promise(setImmediate);
    assert.equal(attention.isPaid, false);
    running.resolve("ended");
    assert.equal(await followed, "ended");
  });

  it("is not paid any more to what failed before it began", async () => {
    const attention = new Attention();
    await assert.rejects(attention.until(new Promise(() => undefined), () => Promise.reject(new Error("not signed in"))), /not signed in/);
    assert.equal(attention.isPaid, false);
  });
});

interface Open<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
}

/** A promise that the test settles. */
function open<T>(): Open<T> {
  const hands: Partial<Pick<Open<T>, "resolve" | "reject">> = {};
  const promise = new Promise<T>((resolve, reject) => { Object.assign(hands, { resolve, reject }); });
  return { promise, ...hands } as Open<T>;
}
