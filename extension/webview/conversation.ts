// The conversation of a chat tab: who was asked what, how each answer stands, and what is asked next. Pure.
import type { ChatMessage, ChatRequest } from "../protocol";
import type { Answer, FromPage, Kept, Sampling, Turn, Who } from "./messages";

export const NO_SAMPLING: Sampling = { system: "", temperature: "", topP: "", maxTokens: "512", seed: "" };

export function fresh(folder: string): Kept {
  return { version: 1, folder, turns: [], model: "", against: "", comparing: false, sampling: NO_SAMPLING, draft: "" };
}

/** Another question, to one model or to two. */
export function begun(kept: Kept, question: string, asked: readonly { readonly id: string; readonly model: string }[]): Kept {
  return { ...kept, draft: "", turns: [...kept.turns, { question, answers: asked.map(({ id, model }) => waiting(id, model)) }] };
}

/** The last question once more, to whom it was asked; what was answered goes. */
export function again(kept: Kept, newId: () => string): Kept {
  const last = kept.turns.at(-1);
  if (last === undefined) return kept;
  return { ...kept, turns: [...kept.turns.slice(0, -1), { ...last, answers: last.answers.map(({ asked }) => waiting(newId(), asked)) }] };
}

function waiting(id: string, asked: string): Answer {
  return { id, asked, who: null, text: "", thought: "", state: "waiting", problem: "", tokens: null };
}

export function named(kept: Kept, id: string, who: Who): Kept {
  return changed(kept, id, (each) => ({ ...each, who, state: "growing" }));
}

export function grown(kept: Kept, id: string, text: string, thought: boolean): Kept {
  return changed(kept, id, (each) => (thought ? { ...each, thought: each.thought + text } : { ...each, text: each.text + text }));
}

export function ended(kept: Kept, id: string, finish: "stop" | "length" | "stopped", tokens: number | null): Kept {
  return changed(kept, id, (each) => ({ ...each, state: finish === "stop" ? "whole" : finish === "length" ? "cut" : "stopped", tokens }));
}

export function failed(kept: Kept, id: string, problem: string): Kept {
  return changed(kept, id, (each) => ({ ...each, state: "failed", problem }));
}

function changed(kept: Kept, id: string, change: (answer: Answer) => Answer): Kept {
  const turn = kept.turns.find(({ answers }) => answers.some((each) => each.id === id));
  if (turn === undefined) return kept; // of a conversation that was left behind
  const answers = turn.answers.map((each) => (each.id === id ? change(each) : each));
  return { ...kept, turns: kept.turns.map((each) => (each === turn ? { ...turn, answers } : each)) };
}

export function isLive({ state }: Answer): boolean {
  return state === "waiting" || state === "growing";
}

/** Whose answers are still awaited. */
export function live({ turns }: Kept): readonly string[] {
  return turns.flatMap(({ answers }) => answers.filter(isLive).map(({ id }) => id));
}

/** What a model is told for its answer in the last turn: each of two goes on with what it said itself. */
export function messagesFor({ turns, sampling }: Kept, model: string): readonly ChatMessage[] {
  const told: ChatMessage[] = sampling.system.trim() === "" ? [] : [{ role: "system", content: sampling.system }];
  for (const { question, answers } of turns.slice(0, -1)) {
    const said = (answers.find(({ asked }) => asked === model) ?? answers[0])?.text ?? "";
    // A question that nobody answered is no part of it: two of one role in a row are refused by many chat templates.
    if (said !== "") told.push({ role: "user", content: question }, { role: "assistant", content: said });
  }
  const last = turns.at(-1);
  return last === undefined ? told : [...told, { role: "user", content: last.question }];
}

export function requestFor(kept: Kept, model: string): ChatRequest {
  const { temperature, topP, maxTokens, seed } = kept.sampling;
  return { model, messages: messagesFor(kept, model), temperature: number(temperature), topP: number(topP), maxTokens: number(maxTokens), seed: number(seed) };
}

function number(text: string): number | null {
  return text.trim() === "" ? null : Number(text.trim().replace(",", "."));
}

type Ranged = Exclude<keyof Sampling, "system">;

/** What the fields take; the server's own limits come beside that. */
export const RANGES: Readonly<Record<Ranged, { readonly least: number; readonly most: number; readonly whole: boolean }>> = {
  temperature: { least: 0, most: 2, whole: false },
  topP: { least: 0.01, most: 1, whole: false },
  maxTokens: { least: 1, most: 1_000_000, whole: true },
  seed: { least: 0, most: 2 ** 31 - 1, whole: true },
};

/** The fields that hold no number that may be asked with. */
export function wrong(sampling: Sampling): readonly Ranged[] {
  return (Object.keys(RANGES) as Ranged[]).filter((name) => {
    const value = number(sampling[name]);
    if (value === null) return false;
    const { least, most, whole } = RANGES[name];
    return !Number.isFinite(value) || value < least || value > most || (whole && !Number.isInteger(value));
  });
}

/** The models to choose: who was chosen before is, while it is there; else an adapter, which is what was fine-tuned. */
export function chosen(kept: Kept, models: readonly { readonly name: string; readonly base: boolean }[]): Kept {
  const names = models.map(({ name }) => name);
  const base = models.find((each) => each.base)?.name ?? names[0] ?? "";
  const model = names.includes(kept.model) ? kept.model : (models.find((each) => !each.base)?.name ?? base);
  const against = names.includes(kept.against) ? kept.against : base;
  return { ...kept, model, against, comparing: kept.comparing && names.length > 1 };
}

/** The newest turns that fit into so many characters: what is kept is written whole each time. */
export function within(kept: Kept, most: number): Kept {
  let room = most;
  const first = [...kept.turns].reverse().findIndex((turn) => (room -= JSON.stringify(turn).length) < 0);
  return first === -1 ? kept : { ...kept, turns: first === 0 ? [] : kept.turns.slice(-first) };
}

/** What was kept, as far as it can be read; undefined where it can't. */
export function restored(state: unknown): Kept | undefined {
  if (!isRecord(state) || state["version"] !== 1 || typeof state["folder"] !== "string" || !Array.isArray(state["turns"])) return undefined;
  const given = isRecord(state["sampling"]) ? state["sampling"] : {};
  const sampling = Object.fromEntries((Object.entries(NO_SAMPLING) as [keyof Sampling, string][]).map(([name, standard]) => [name, text(given[name], standard)])) as unknown as Sampling;
  const turns = state["turns"].filter(isRecord).map(turn);
  const { model, against, draft } = { model: text(state["model"]), against: text(state["against"]), draft: text(state["draft"]) };
  return { version: 1, folder: state["folder"], turns, model, against, comparing: state["comparing"] === true, sampling, draft };
}

function turn(given: Readonly<Record<string, unknown>>): Turn {
  const answers = Array.isArray(given["answers"]) ? given["answers"].filter(isRecord) : [];
  return { question: text(given["question"]), answers: answers.map(answer) };
}

const ENDED: readonly string[] = ["whole", "cut", "stopped", "failed"];

function answer(given: Readonly<Record<string, unknown>>): Answer {
  const who = given["who"];
  const state = text(given["state"]);
  return {
    id: text(given["id"]),
    asked: text(given["asked"]),
    who: isRecord(who) ? { model: text(who["model"]), release: orNull(who["release"]), hash: orNull(who["hash"]) } : null,
    text: text(given["text"]),
    thought: text(given["thought"]),
    state: ENDED.includes(state) ? (state as Answer["state"]) : "stopped",
    problem: text(given["problem"]),
    tokens: typeof given["tokens"] === "number" ? given["tokens"] : null,
  };
}

function isRecord(given: unknown): given is Readonly<Record<string, unknown>> {
  return typeof given === "object" && given !== null;
}

function text(given: unknown, standard = ""): string {
  return typeof given === "string" ? given : standard;
}

function orNull(given: unknown): string | null {
  return typeof given === "string" ? given : null;
}

/** Whether the sidecar, or a command, would be started for it: nothing is in a folder that is not trusted. */
export function starts({ type }: FromPage): boolean {
  switch (type) {
    case "ready": // looks for itself whether it may
    case "keep":
    case "copy":
    case "stop":
    case "stopWaking":
      return false;
    case "look":
    case "wake":
    case "ask":
    case "code":
    case "go":
      return true;
  }
}
