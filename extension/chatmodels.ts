// The deployed models in VS Code's own model picker, where that takes models of extensions. Listing them wakes nothing.
import * as vscode from "vscode";
import { Cancelled, Refusal, type Sidecar } from "./client";
import type { Credentials } from "./credentials";
import { describe, say } from "./messages";
import type { ChatAnswer, ChatMessage, ChatModel, CloudName } from "./protocol";
import { tokensIn, told, type Part } from "./turns";
import { isFrom } from "./versions";
import type { EndpointView } from "./view";

export const VENDOR = "slipway";

/** What VS Code brings since 1.104, as far as it is used here: the types that the extension is built with are its oldest VS Code's. */
interface Information {
  readonly id: string;
  readonly name: string;
  readonly family: string;
  readonly version: string;
  readonly tooltip: string;
  readonly detail: string;
  readonly maxInputTokens: number;
  readonly maxOutputTokens: number;
  readonly capabilities: { readonly toolCalling: boolean; readonly imageInput: boolean };
}

interface RequestMessage {
  readonly role: number;
  readonly content: readonly unknown[];
}

interface Provider {
  readonly onDidChangeLanguageModelChatInformation: vscode.Event<void>;
  provideLanguageModelChatInformation: (options: { readonly silent: boolean }, token: vscode.CancellationToken) => Promise<Information[]>;
  provideLanguageModelChatResponse: (model: Information, messages: readonly RequestMessage[], options: { readonly modelOptions?: Readonly<Record<string, unknown>> }, progress: vscode.Progress<unknown>, token: vscode.CancellationToken) => Promise<void>;
  provideTokenCount: (model: Information, text: string | RequestMessage, token: vscode.CancellationToken) => Promise<number>;
}

interface Registry {
  readonly registerLanguageModelChatProvider?: (vendor: string, provider: Provider) => vscode.Disposable;
}

/** Of a server that does not tell how much fits. */
const UNKNOWN_CONTEXT = 4096;

/** Models of the endpoints of the open folders. */
export class ChatModels implements vscode.Disposable, Provider {
  private readonly changed = new vscode.EventEmitter<void>();
  readonly onDidChangeLanguageModelChatInformation = this.changed.event;
  private told = "";
  private readonly registered: vscode.Disposable | undefined;
  private readonly folders = new Map<string, { readonly folder: string; readonly model: string }>();
  /** What the server has listed, by what the view had seen then. */
  private readonly listed = new Map<string, readonly Information[]>();

  constructor(
    private readonly sidecar: Sidecar,
    private readonly credentials: Credentials,
    private readonly view: EndpointView,
  ) {
    if (isFrom(vscode.version, 1, 104)) this.registered = (vscode.lm as unknown as Registry).registerLanguageModelChatProvider?.(VENDOR, this);
  }

  dispose(): void {
    this.registered?.dispose();
    this.changed.dispose();
  }

  /** The state of an endpoint was looked at, and may be another one. */
  refresh(): void {
    const now = this.key();
    if (now === this.told) return;
    this.told = now;
    this.changed.fire();
  }

  /** What the view has seen answer; where it has not looked yet, it does for a person only. The server is asked for its list once a release, and
   * only while it is awake: VS Code lists often, and each request would keep a GPU awake. */
  async provideLanguageModelChatInformation({ silent }: { readonly silent: boolean }): Promise<Information[]> {
    if (!vscode.workspace.isTrusted) return [];
    if (!silent && this.view.seen === undefined) await this.credentials.attended(() => this.view.look());
    const { shown } = this.view;
    const key = this.key();
    if (key === "" || shown === undefined) return [];
    const known = this.listed.get(key) ?? (await this.modelsOf(shown));
    this.listed.set(key, known);
    return [...known];
  }

  async provideLanguageModelChatResponse(model: Information, messages: readonly RequestMessage[], { modelOptions }: { readonly modelOptions?: Readonly<Record<string, unknown>> }, progress: vscode.Progress<unknown>, token: vscode.CancellationToken): Promise<void> {
    const meant = this.folders.get(model.id);
    if (meant === undefined) throw new Error(vscode.l10n.t("The endpoint of {model} is not open in this window any more.", { model: model.name }));
    const operation = crypto.randomUUID();
    const listening = this.sidecar.on("slipway/chatText", (piece) => {
      if (piece.operation === operation && !piece.thought) progress.report(new vscode.LanguageModelTextPart(piece.text));
    });
    const option = (name: string): number | null => (typeof modelOptions?.[name] === "number" ? modelOptions[name] : null);
    const request = { model: meant.model, messages: conversation(messages), temperature: option("temperature"), topP: option("top_p"), maxTokens: option("max_tokens"), seed: option("seed") };
    const ask = (consents: readonly string[]): Promise<ChatAnswer> => this.sidecar.ask("slipway/chat", { folder: meant.folder, cloud: cloud(), operation, request, consents }, token);
    try {
      await this.credentials.attended(async () => {
        try {
          await ask([]);
        } catch (error) {
          if (!(error instanceof Refusal) || error.failure.consent === null || !(await agrees(error))) throw error;
          await ask([error.failure.consent]);
        }
      });
    } catch (error) {
      // What is thrown here is shown where the answer would be: in plain words, and with the way on.
      if (!(error instanceof Cancelled)) throw new Error(describe(error), { cause: error });
    } finally {
      listening.dispose();
    }
  }

  /** A guess that is rather too high: only the model's own tokenizer knows, and asking it would keep a GPU awake. */
  provideTokenCount(_model: Information, text: string | RequestMessage): Promise<number> {
    return Promise.resolve(tokensIn(typeof text === "string" ? text : told(parts(text))));
  }

  /** Names what the view has seen answer; empty where nothing does. */
  private key(): string {
    const { seen, shown } = this.view;
    if (seen === undefined || shown === undefined || (seen.state !== "ready" && seen.state !== "unverified")) return "";
    return JSON.stringify([shown.uri.toString(), seen.revision, seen.generation, seen.base, seen.adapters, seen.hashes]);
  }

  private async modelsOf(folder: vscode.WorkspaceFolder): Promise<readonly Information[]> {
    const found = await this.sidecar.ask("slipway/chatModels", { folder: folder.uri.fsPath, cloud: cloud(), operation: "", wake: false });
    return found.models.map((each) => {
      const id = `${folder.name}/${each.name}`;
      this.folders.set(id, { folder: folder.uri.fsPath, model: each.name });
      return information(id, each, found.app ?? folder.name);
    });
  }
}

/** An app that sleeps is woken by who says so, here as elsewhere. */
async function agrees({ what, suggestion }: Refusal): Promise<boolean> {
  const wake = vscode.l10n.t("Wake it");
  const options = { modal: true, ...(suggestion === undefined ? {} : { detail: say(suggestion) }) };
  return (await vscode.window.showWarningMessage(say(what), options, wake)) === wake;
}

function information(id: string, { name, base, hash, context }: ChatModel, app: string): Information {
  const most = context ?? UNKNOWN_CONTEXT;
  // A quarter for the answer: VS Code fills the rest with what it knows of the project.
  const output = Math.max(1, Math.floor(most / 4));
  const kind = base ? vscode.l10n.t("base model") : vscode.l10n.t("adapter");
  return { id, name, family: name, version: hash ?? "1", tooltip: vscode.l10n.t("{model} ({kind}) at your endpoint {app}", { model: name, kind, app }), detail: app, maxInputTokens: most - output, maxOutputTokens: output, capabilities: { toolCalling: false, imageInput: false } };
}

const ASSISTANT = 2;

function conversation(messages: readonly RequestMessage[]): readonly ChatMessage[] {
  return messages.map((each) => ({ role: each.role === ASSISTANT ? "assistant" : each.role === 3 ? "system" : "user", content: told(parts(each)) }));
}

function parts({ content }: RequestMessage): readonly Part[] {
  return content.filter((each): each is Part => typeof each === "object" && each !== null);
}

function cloud(): CloudName {
  return vscode.workspace.getConfiguration("slipway").get<CloudName>("cloud", "auto");
}
