// Which VS Code has a part of its API as final. Before that it may be there already, and throw when it is called.

/** Whether a version, `1.104.0-insider` for example, is this one or a newer. */
export function isFrom(version: string, major: number, minor: number): boolean {
  const [ours = 0, second = 0] = version.split(/[.-]/).map(Number);
  return ours > major || (ours === major && second >= minor);
}
