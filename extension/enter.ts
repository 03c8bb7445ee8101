// What Enter means in a list whose rows come while it is open.

/** `chosen`: as VS Code says; `looked`: the row that stands where the person looked before the last rows came; `typed`: what the list is
 * filtered by. A filter that nothing fits shows no row, and then none is meant: least of all one that is not seen. */
export function meant<T>(chosen: T | undefined, looked: T | undefined, typed: string): T | undefined {
  return chosen ?? (typed === "" ? looked : undefined);
}
