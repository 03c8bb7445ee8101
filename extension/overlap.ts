// What is told of one place twice: ours goes where another one says the same.

/** A diagnostic of VS Code's, as far as it counts here. */
export interface Remark {
  readonly range: { readonly start: { readonly line: number } };
  readonly message: string;
  readonly source?: string | undefined;
  readonly code?: string | number | { readonly value: string | number } | undefined;
}

/** Microsoft's Bicep extension and its linter. */
const BICEP = /^bicep\b/i;

/** Those of ours that Microsoft's Bicep extension does not tell. */
export function untold<T extends Remark>(ours: readonly T[], all: readonly Remark[]): T[] {
  const theirs = all.filter((each) => BICEP.test(each.source ?? ""));
  return ours.filter((each) => !theirs.some((other) => sameLine(each, other) && names(each, codeOf(other))));
}

export function sameLine(one: Remark, other: Remark): boolean {
  return one.range.start.line === other.range.start.line;
}

/** Whether it is of that code: its own, or the one that its words begin with. Of two that have none the line decides. */
function names(remark: Remark, code: string): boolean {
  const own = codeOf(remark) || (/^([\w-]+): /.exec(remark.message)?.[1] ?? "");
  return code === "" || own === "" || own === code;
}

function codeOf({ code }: Remark): string {
  return code === undefined ? "" : String(typeof code === "object" ? code.value : code);
}
