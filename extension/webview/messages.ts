// What passes between the chat tab's page and the extension, and what the page keeps. Never a key.
import type { ChatModels, ChatRequest } from "../protocol";

export interface Who {
  readonly model: string;
  readonly release: string | null;
  readonly hash: string | null;
}

/** How an answer stands. What is in nobody's hands any more, because the window was closed over it, counts as stopped. */
export type AnswerState = "waiting" | "growing" | "whole" | "cut" | "stopped" | "failed";

export interface Answer {
  readonly id: string;
  readonly asked: string;
  readonly who: Who | null;
  readonly text: string;
  readonly thought: string;
  readonly state: AnswerState;
  /** Of one that failed: why, and what to do. */
  readonly problem: string;
  readonly tokens: number | null;
}

/** One question and who was asked: one model, or two side by side. */
export interface Turn {
  readonly question: string;
  readonly answers: readonly Answer[];
}

/** As the person wrote them: empty is the server's own choice. */
export interface Sampling {
  readonly system: string;
  readonly temperature: string;
  readonly topP: string;
  readonly maxTokens: string;
  readonly seed: string;
}

/** What outlives a reload of the window: in VS Code's own state, in no file of the project. */
export interface Kept {
  readonly version: 1;
  /** The folder's URI. */
  readonly folder: string;
  readonly turns: readonly Turn[];
  readonly model: string;
  readonly against: string;
  readonly comparing: boolean;
  readonly sampling: Sampling;
  readonly draft: string;
}

export type Language = "curl" | "python" | "javascript";

/** Commands that the page may lead to. */
export type Way = "slipway.deploy" | "slipway.start" | "slipway.diagnose" | "slipway.showLogs";

/** How the endpoint stands, in the person's words. */
export interface Standing {
  readonly found: ChatModels | null;
  readonly text: string;
  readonly detail: string;
  /** Whether it sleeps, and may be woken by who says so. */
  readonly asleep: boolean;
  readonly ways: readonly { readonly way: Way; readonly title: string }[];
}

export type FromPage =
  | { readonly type: "ready" }
  | { readonly type: "keep"; readonly kept: Kept }
  | { readonly type: "look" }
  | { readonly type: "wake" }
  | { readonly type: "stopWaking" }
  | { readonly type: "ask"; readonly id: string; readonly request: ChatRequest }
  | { readonly type: "stop"; readonly id: string }
  | { readonly type: "copy"; readonly text: string }
  | { readonly type: "code"; readonly language: Language; readonly request: ChatRequest }
  | { readonly type: "go"; readonly way: Way };

export type ToPage =
  | { readonly type: "opened"; readonly folder: string; readonly kept: unknown }
  | { readonly type: "standing"; readonly standing: Standing }
  | { readonly type: "waking"; readonly text: string }
  | { readonly type: "began"; readonly id: string; readonly who: Who }
  | { readonly type: "text"; readonly id: string; readonly text: string; readonly thought: boolean }
  | { readonly type: "ended"; readonly id: string; readonly finish: "stop" | "length" | "stopped"; readonly tokens: number | null }
  | { readonly type: "failed"; readonly id: string; readonly problem: string }
  | { readonly type: "said"; readonly text: string };

/** The page's own sentences, in the window's language. `{holes}` are filled by the page. */
export interface Words {
  readonly chatWith: string;
  readonly chat: string;
  readonly compareOf: string;
  readonly newChat: string;
  readonly lookAgain: string;
  readonly wake: string;
  readonly stopWaking: string;
  readonly message: string;
  readonly placeholder: string;
  readonly send: string;
  readonly stop: string;
  readonly regenerate: string;
  readonly options: string;
  readonly model: string;
  readonly against: string;
  readonly compare: string;
  readonly onlyOne: string;
  readonly sameModel: string;
  readonly noModel: string;
  readonly base: string;
  readonly adapter: string;
  readonly system: string;
  readonly temperature: string;
  readonly topP: string;
  readonly maxTokens: string;
  readonly seed: string;
  readonly serverChooses: string;
  readonly outOfRange: string;
  readonly copyAs: string;
  readonly copyAnswer: string;
  readonly copyCode: string;
  readonly you: string;
  readonly conversation: string;
  readonly empty: string;
  readonly release: string;
  readonly files: string;
  readonly unnamed: string;
  readonly waiting: string;
  readonly answering: string;
  readonly answered: string;
  readonly stopped: string;
  readonly cut: string;
  readonly failed: string;
  readonly tokens: string;
  readonly thoughts: string;
  readonly noText: string;
}
