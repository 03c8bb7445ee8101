import assert from "node:assert/strict";
import { Heartbeat, LIMITS, type Clock } from "../../../extension/heartbeat";

/** Time that passes when the test says so. */
class Time implements Clock {
  private now = 0;
  private readonly due = new Map<object, readonly [number, () => void]>();

  readonly set = (act: () => void, milliseconds: number): object => {
    const timer = {};
    this.due.set(timer, [this.now + milliseconds, act]);
    return timer;
  };
  readonly clear = (timer: unknown): void => { this.due.delete(timer as object); };

  /** What is due is done; what that has set going is let run. */
  async pass(milliseconds: number): Promise<void> {
    const end = this.now + milliseconds;
    for (;;) {
      const [next] = [...this.due].filter(([, [at]]) => at <= end).sort(([, [one]], [, [other]]) => one - other);
      if (next === undefined) break;
      const [timer, [at, act]] = next;
      this.now = at;
      this.due.delete(timer);
      act();
      await settled();
    }
    this.now = end;
  }

  /** The computer sleeps: whatever is due by then is due at its end. */
  async sleep(milliseconds: number): Promise<void> {
    this.now += milliseconds;
    for (const [timer, [at, act]] of [...this.due]) {
      if (at > this.now) continue;
      this.due.delete(timer);
      act();
    }
    await settled();
  }
}

const settled = (): Promise<void> => new Promise((resolve) => { setImmediate(resolve); });

describe("a sign of life", () => {
  let asked: number;
  let told: number;
  let answers: (() => void)[];
  let time: Time;
  let heart: Heartbeat;

  beforeEach(() => {
    [asked, told, answers, time] = [0, 0, [], new Time()];
    const ask = (): Promise<void> => {
      asked += 1;
      return new Promise((resolve) => answers.push(resolve));
    };
    heart = new Heartbeat(ask, () => { told += 1; }, LIMITS, time);
  });

  const answer = async (): Promise<void> => {
    answers.shift()?.();
    await settled();
  };

  it("is asked for while somebody waits, again and again, and not afterwards", async () => {
    let done = (): void => undefined;
    const work = heart.during(new Promise<void>((resolve) => (done = resolve)));
    assert.equal(asked, 1);
    for (let count = 2; count < 5; count += 1) {
      await answer();
      await time.pass(LIMITS.every);
      assert.equal(asked, count);
    }
    done();
    await work;
    await answer();
    await time.pass(10 * LIMITS.silent);
    assert.equal(asked, 4, "nobody waits any more");
    heart.beat();
    assert.equal(asked, 5, "something was sent");
    heart.beat();
    assert.equal(asked, 5, "the question is still open");
    assert.equal(told, 0);
  });

  it("that does not come is told once, after the limit and the grace", async () => {
    void heart.during(new Promise(() => undefined));
    await time.pass(LIMITS.silent + LIMITS.grace - 1);
    assert.equal(told, 0);
    await time.pass(1);
    assert.equal(told, 1);
    heart.beat();
    await time.pass(10 * LIMITS.silent);
    assert.equal(told, 1);
  });

  it("is anything that comes: the piece of a long message, progress, what arrives in the last moment", async () => {
    heart.beat();
    for (let piece = 0; piece < 10; piece += 1) {
      await time.pass(LIMITS.silent + LIMITS.grace - 1);
      heart.heard();
    }
    assert.equal(told, 0);
    await time.pass(LIMITS.silent + LIMITS.grace);
    assert.equal(told, 1);
  });

  it("is not missed while the computer slept", async () => {
    void heart.during(new Promise(() => undefined));
    for (let night = 0; night < 3; night += 1) {
      await time.sleep(8 * 3_600_000);
      await time.pass(LIMITS.silent - LIMITS.every);
      assert.equal(told, 0, "it has had no time to answer yet");
      await answer();
      await time.pass(LIMITS.every);
    }
    assert.equal(asked, 4);
    await time.pass(LIMITS.silent + LIMITS.grace);
    assert.equal(told, 1, "what stays silent awake is hung");
  });

  it("is not waited for once it was stopped", async () => {
    void heart.during(new Promise(() => undefined));
    heart.stop();
    await time.pass(10 * LIMITS.silent);
    assert.equal(told, 0);
  });
});
