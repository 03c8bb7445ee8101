// A model's answer as prose and blocks of code. It stays text: nothing in it is read as HTML. Pure.

export type Segment = { readonly kind: "prose"; readonly text: string } | { readonly kind: "code"; readonly text: string; readonly language: string };

const FENCE = /^ {0,3}(`{3,}|~{3,})(.*)$/;

/** A block that has not ended yet, because the answer is still growing, is one already. */
export function segments(answer: string): readonly Segment[] {
  const found: Segment[] = [];
  let prose: string[] = [];
  let code: string[] | undefined;
  let mark = "";
  let language = "";
  const take = (): void => {
    const text = prose.join("\n").replace(/^\n+|\n+$/g, "");
    if (text !== "") found.push({ kind: "prose", text });
    prose = [];
  };
  for (const line of answer.split("\n")) {
    const fence = FENCE.exec(line.replace(/\r$/, ""));
    const [marks, rest] = [fence?.[1] ?? "", (fence?.[2] ?? "").trim()];
    if (code === undefined) {
      if (marks === "" || (marks.startsWith("`") && rest.includes("`"))) {
        prose.push(line);
        continue;
      }
      take();
      [code, mark, language] = [[], marks, rest.split(/\s/)[0] ?? ""];
    } else if (marks !== "" && rest === "" && marks.startsWith(mark)) {
      found.push({ kind: "code", text: code.join("\n"), language });
      code = undefined;
    } else {
      code.push(line);
    }
  }
  if (code !== undefined) found.push({ kind: "code", text: code.join("\n"), language });
  take();
  return found;
}
