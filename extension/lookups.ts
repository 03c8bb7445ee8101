// How often something is read, and of what: a list once for its key, an endpoint's state no oftener than it may be, and of the folder that is shown.
import type { State } from "./protocol";

const STALE_AFTER = 60_000;
/** For Azure to end a replica after the cooldown: about a quarter of a minute was seen. */
const MARGIN = 60_000;

/** Milliseconds from one look to the next that nobody has asked for. `last`: what was seen; undefined where that failed. A look at a
 * replica that answers, also to a server that is not ours, counts as a request: the next one waits until a replica that nobody else
 * asked would have ended, so that looking alone keeps no GPU awake. */
export function pauseAfter(last: { readonly state: State; readonly cooldown: number } | undefined): number {
  return last?.state === "ready" || last?.state === "unverified" ? last.cooldown * 1000 + MARGIN : STALE_AFTER;
}

/** The last list that was read. Whoever asks for it meanwhile waits for the same one; an empty one, or a failure, is read again. */
export class LastList<T> {
  private key: string | undefined;
  private reading: Promise<readonly T[]> | undefined;

  async of(key: string, read: () => Promise<readonly T[]>): Promise<readonly T[]> {
    if (this.key === key && this.reading !== undefined) return this.reading;
    const reading = read();
    this.key = key;
    this.reading = reading;
    const forget = (): void => {
      if (this.reading === reading) this.reading = undefined;
    };
    try {
      const found = await reading;
      if (found.length === 0) forget();
      return found;
    } catch (error) {
      forget();
      throw error;
    }
  }
}

/** The state of what is shown, as last read. What is read while another one comes to be shown is left, and that one is read instead. */
export class LastState<F, S> {
  private one: F | undefined;
  private reading: Promise<void> | undefined;
  state: S | undefined;
  failure: unknown;
  at = 0;

  get shown(): F | undefined {
    return this.one;
  }

  /** Whether that is another one than before: nothing is known of it then. */
  show(one: F | undefined): boolean {
    const another = this.one !== one;
    if (another) this.forget();
    this.one = one;
    return another;
  }

  forget(): void {
    this.state = this.failure = undefined;
  }

  /** `find` shows what is to be read, and says whether it has a state. Whoever wants it read meanwhile waits for the same one. */
  async read(find: () => Promise<boolean>, ask: (one: F) => Promise<S>): Promise<void> {
    this.reading ??= this.readOnce(find, ask).finally(() => (this.reading = undefined));
    await this.reading;
  }

  private async readOnce(find: () => Promise<boolean>, ask: (one: F) => Promise<S>): Promise<void> {
    for (;;) {
      const found = await find();
      const { one } = this;
      if (!found || one === undefined) {
        this.forget();
        return;
      }
      const read = await ask(one).then((state) => ({ state, failure: undefined }), (failure: unknown) => ({ state: this.state, failure }));
      if (this.one !== one) continue;
      Object.assign(this, read);
      if (read.failure === undefined) this.at = Date.now();
      return;
    }
  }
}
