// Waiting for something to become true, with a deadline and without guessing how long it takes.

/** Milliseconds after which what a page has to show counts as never shown: it is none of the claims how fast a busy machine is. */
export const PATIENCE = 90_000;

/** Asks until the answer is truthy, and returns it. An exception counts as "not yet" and is shown when time is up. */
export async function eventually<T>(what: string, milliseconds: number, ask: () => T | Promise<T>): Promise<NonNullable<T>> {
  const deadline = Date.now() + milliseconds;
  let last = "";
  while (Date.now() < deadline) {
    try {
      const answer = await ask();
      if (answer) return answer;
      last = "";
    } catch (error) {
      last = ` (${error instanceof Error ? error.message : JSON.stringify(error)})`;
    }
    await new Promise((resolve) => setTimeout(resolve, 150));
  }
  throw new Error(`not within ${milliseconds / 1000} s: ${what}${last}`);
}
