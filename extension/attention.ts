// Whether a person is at hand, so that a sign-in may open a dialog.

/** While a command of theirs runs; of one that goes on for hours, at its beginning alone. */
export class Attention {
  private commands = 0;

  get isPaid(): boolean {
    return this.commands > 0;
  }

  async during<T>(command: () => Promise<T>): Promise<T> {
    this.commands += 1;
    try {
      return await command();
    } finally {
      this.commands -= 1;
    }
  }

  /** `begun`: from then on the command goes on by itself. Else every look in the background could ask somebody who left long ago. */
  async until<T>(begun: Promise<unknown>, command: () => Promise<T>): Promise<T> {
    const running = command();
    await this.during(() => Promise.race([begun, running]));
    return running;
  }
}
