// What was read for a key, kept as long as that is asked for.

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
