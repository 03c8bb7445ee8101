// Whether a process that has something to do still answers: asked only while somebody waits for it.

/** Milliseconds. A process that is short of the processor answers late, and a window that was itself held up hears late. */
export interface Limits {
  /** Between two signs of life that are asked for. */
  readonly every: number;
  /** Without a word after which it counts as hung. */
  readonly silent: number;
  /** For what has arrived meanwhile to be heard. */
  readonly grace: number;
}

/** What wakes it. */
export interface Clock {
  readonly set: (act: () => void, milliseconds: number) => unknown;
  readonly clear: (timer: unknown) => void;
}

const CLOCK: Clock = {
  set: (act, milliseconds) => setTimeout(act, milliseconds),
  clear: (timer) => { clearTimeout(timer as NodeJS.Timeout | undefined); },
};

export const LIMITS: Limits = { every: 5_000, silent: 30_000, grace: 2_000 };

export class Heartbeat {
  private waiting = 0;
  private asking = false;
  private stopped = false;
  private timer: unknown;
  private next: unknown;

  constructor(
    /** Asks for a sign of life. */
    private readonly ask: () => Promise<unknown>,
    private readonly hung: () => void,
    private readonly limits: Limits = LIMITS,
    private readonly clock: Clock = CLOCK,
  ) {}

  /** Somebody waits until this has settled. */
  async during<T>(work: Promise<T>): Promise<T> {
    this.waiting += 1;
    this.beat();
    try {
      return await work;
    } finally {
      this.waiting -= 1;
    }
  }

  /** Something was sent that has no answer of its own. */
  beat(): void {
    if (this.asking || this.stopped) return;
    this.clock.clear(this.next);
    this.asking = true;
    this.wait();
    const answered = (): void => {
      this.asking = false;
      this.clock.clear(this.timer);
      if (this.waiting > 0 && !this.stopped) this.next = this.clock.set(() => { this.beat(); }, this.limits.every);
    };
    // An error is a sign of life too; when the connection is gone, whoever watches that stops this.
    this.ask().then(answered, answered);
  }

  /** Anything that came from it. */
  heard(): void {
    if (this.asking) this.wait();
  }

  stop(): void {
    this.stopped = true;
    this.clock.clear(this.timer);
    this.clock.clear(this.next);
  }

  /** In steps, of which a computer that sleeps loses one: time that passed without either of the two is no silence. */
  private wait(left = this.limits.silent): void {
    this.clock.clear(this.timer);
    if (this.stopped) return;
    const step = Math.min(this.limits.every, left);
    this.timer = this.clock.set(() => {
      if (left > step) this.wait(left - step);
      else this.listenOnce();
    }, step);
  }

  private listenOnce(): void {
    this.timer = this.clock.set(() => {
      this.stop();
      this.hung();
    }, this.limits.grace);
  }
}
