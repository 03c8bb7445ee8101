// How often something is read: a list once for its key, an endpoint's state no oftener than it may be.
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
