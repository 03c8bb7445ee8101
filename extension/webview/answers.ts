// How the turns of a conversation are shown: each answer says who gave it, how it stands, and keeps its code readable.
import { button, element, filled, setText } from "./elements";
import { isLive } from "./conversation";
import type { Answer, Turn, Words } from "./messages";
import { segments } from "./segments";

export interface Acts {
  readonly copy: (text: string) => void;
  readonly regenerate: () => void;
}

/** Shows turns in `place`; what has not changed stays as it is, with the focus and the selection in it. */
export class Answers {
  private readonly shown = new Map<string, { readonly answer: Answer; readonly node: HTMLElement }>();
  private turns: readonly Turn[] | undefined;

  constructor(
    private readonly place: HTMLElement,
    private readonly words: Words,
    private readonly acts: Acts,
  ) {}

  show(turns: readonly Turn[]): void {
    const before = this.turns;
    const same = turns.length === before?.length && turns.every((turn, index) => sameAnswers(turn, before[index]));
    const following = atEnd(this.place);
    if (same) for (const { answers } of turns) for (const each of answers) this.refresh(each);
    else this.build(turns);
    this.turns = turns;
    if (following) this.place.scrollTop = this.place.scrollHeight;
  }

  private build(turns: readonly Turn[]): void {
    this.shown.clear();
    const made = turns.map(({ question, answers }, index) =>
      element(
        "article",
        { class: "turn", "aria-label": filled("{number}", { number: String(index + 1) }) },
        element("div", { class: "question" }, element("h2", {}, this.words.you), element("p", { class: "text" }, question)),
        element("div", { class: answers.length > 1 ? "answers two" : "answers" }, ...answers.map((each) => this.made(each))),
        ...(index === turns.length - 1 ? [element("div", { class: "acts" }, button(this.words.regenerate, this.acts.regenerate, { class: "quiet regenerate" }))] : []),
      ),
    );
    this.place.replaceChildren(...(made.length === 0 ? [element("p", { class: "empty" }, this.words.empty)] : made));
  }

  private made(answer: Answer): HTMLElement {
    const node = element("section", { class: "answer" });
    const [heading, where] = [element("h3", { class: "who" }), element("p", { class: "where" })];
    node.append(heading, where, element("div", { class: "said" }), element("p", { class: "state" }));
    const copy = button(this.words.copyAnswer, () => { this.acts.copy(this.shown.get(answer.id)?.answer.text ?? ""); }, { class: "quiet" });
    node.append(element("div", { class: "acts" }, copy));
    this.shown.set(answer.id, { answer, node });
    this.fill(node, answer);
    return node;
  }

  private refresh(answer: Answer): void {
    const known = this.shown.get(answer.id);
    if (known === undefined || known.answer === answer) return;
    this.shown.set(answer.id, { answer, node: known.node });
    this.fill(known.node, answer);
  }

  private fill(node: HTMLElement, answer: Answer): void {
    const { words } = this;
    const part = (name: string): HTMLElement => node.querySelector<HTMLElement>(`.${name}`) ?? node;
    node.setAttribute("aria-busy", String(isLive(answer)));
    node.classList.toggle("failed", answer.state === "failed");
    setText(part("who"), answer.who?.model ?? answer.asked);
    setText(part("where"), this.where(answer));
    setText(part("state"), this.state(answer));
    part("acts").hidden = isLive(answer) || answer.text === "";
    const thoughts = answer.thought === "" ? [] : [element("details", { class: "thoughts" }, element("summary", {}, words.thoughts), element("p", { class: "text" }, answer.thought))];
    const said = segments(answer.text).map((each) => {
      if (each.kind === "prose") return element("p", { class: "text" }, each.text);
      const copy = button(words.copyCode, () => { this.acts.copy(each.text); }, { class: "quiet" });
      const head = element("div", { class: "code-head" }, element("span", {}, each.language), copy);
      return element("div", { class: "code" }, head, element("pre", { tabindex: "0", "aria-label": each.language === "" ? words.copyCode : each.language }, element("code", {}, each.text)));
    });
    part("said").replaceChildren(...thoughts, ...said);
  }

  /** Release and files of who answered, as far as the server tells them. */
  private where({ who }: Answer): string {
    if (who === null) return "";
    const parts = [
      who.release === null ? "" : filled(this.words.release, { release: who.release.slice(0, 12) }),
      who.hash === null ? "" : filled(this.words.files, { hash: who.hash.slice(0, 12) }),
    ].filter((each) => each !== "");
    return parts.length === 0 ? this.words.unnamed : parts.join(" · ");
  }

  private state({ state, problem, tokens, text }: Answer): string {
    const { words } = this;
    const count = tokens === null ? "" : filled(words.tokens, { count: String(tokens) });
    switch (state) {
      case "waiting":
        return words.waiting;
      case "growing":
        return words.answering;
      case "whole":
        return [text === "" ? words.noText : "", count].filter((each) => each !== "").join(" ");
      case "cut":
        return `${words.cut} ${count}`.trim();
      case "stopped":
        return words.stopped;
      case "failed":
        return filled(words.failed, { problem });
    }
  }
}

function sameAnswers(turn: Turn, other: Turn | undefined): boolean {
  return turn.question === other?.question && turn.answers.length === other.answers.length && turn.answers.every(({ id }, index) => id === other.answers[index]?.id);
}

/** Whoever has scrolled up to read is left there. */
function atEnd(place: HTMLElement): boolean {
  return place.scrollHeight - place.scrollTop - place.clientHeight < 40;
}
