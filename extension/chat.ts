// The chat tab: a conversation with the deployed model. It asks the sidecar, which alone knows the key, and logs nothing of what is said.
import * as vscode from "vscode";
import { page, standing } from "./chatpage";
import { Cancelled, Refusal, type Sidecar } from "./client";
import type { Credentials } from "./credentials";
import { localFolders } from "./folders";
import { describe, say } from "./messages";
import type { ChatAnswer, ChatRequest, CloudName } from "./protocol";
import { starts, within } from "./webview/conversation";
import type { FromPage, Kept, Language, Standing, ToPage, Way } from "./webview/messages";

export const CHAT_VIEW = "slipway.chat";

/** Characters of a conversation that are kept. */
const MOST_KEPT = 400_000;

const WAYS: readonly Way[] = ["slipway.deploy", "slipway.start", "slipway.diagnose", "slipway.showLogs"];

/** One tab a folder. A tab that VS Code brings back after a reload finds its conversation in its own state. */
export class Chats implements vscode.Disposable, vscode.WebviewPanelSerializer {
  private readonly open = new Map<string, Tab>();
  private readonly serializer: vscode.Disposable;

  constructor(
    private readonly sidecar: Sidecar,
    private readonly credentials: Credentials,
    /** Where the extension lies. */
    private readonly extension: vscode.Uri,
    /** VS Code's own, of this workspace: conversations are kept there, and in no file. */
    private readonly memory: vscode.Memento,
    /** Whether looking needs no set-up: a tab that comes back must not start a download. */
    private readonly mayLook: () => Promise<boolean>,
  ) {
    this.serializer = vscode.window.registerWebviewPanelSerializer(CHAT_VIEW, this);
  }

  dispose(): void {
    this.serializer.dispose();
    for (const tab of this.open.values()) tab.dispose();
  }

  /** Shows the folder's tab, a new one where there is none, and looks how its endpoint stands. */
  async show(folder: vscode.WorkspaceFolder): Promise<void> {
    const known = this.open.get(folder.uri.toString());
    if (known !== undefined) {
      known.reveal();
      await known.look();
      return;
    }
    // Behind another tab it goes on: else what is answered meanwhile would be lost, and each way back would be a look.
    const panel = vscode.window.createWebviewPanel(CHAT_VIEW, title(folder), vscode.ViewColumn.Active, { retainContextWhenHidden: true });
    this.adopt(panel, folder, undefined);
  }

  /** What kept tabs that have come back from looking may be gone now: nobody was trusted, or no packages were there. */
  lookAgain(): void {
    for (const tab of this.open.values()) void tab.firstLook();
  }

  deserializeWebviewPanel(panel: vscode.WebviewPanel, state: unknown): Promise<void> {
    const uri = typeof state === "object" && state !== null && "folder" in state ? state.folder : undefined;
    const folders = localFolders();
    // VS Code may not have had the time to write down what the page had set.
    const folder = folders.find((each) => each.uri.toString() === uri) ?? (folders.length === 1 && !uri ? folders[0] : undefined);
    // Its folder is not open any more: there is nobody whom it could ask.
    if (folder === undefined || this.open.has(folder.uri.toString())) panel.dispose();
    else this.adopt(panel, folder, async () => vscode.workspace.isTrusted && (this.sidecar.isRunning || (await this.mayLook())));
    return Promise.resolve();
  }

  private adopt(panel: vscode.WebviewPanel, folder: vscode.WorkspaceFolder, mayLook: (() => Promise<boolean>) | undefined): void {
    panel.title = title(folder);
    panel.iconPath = vscode.Uri.joinPath(this.extension, "extension", "media", "slipway.svg");
    const key = folder.uri.toString();
    this.open.set(key, new Tab(panel, folder, this.sidecar, this.credentials, vscode.Uri.joinPath(this.extension, "build", "dist"), this.memory, mayLook));
    panel.onDidDispose(() => {
      this.open.get(key)?.dispose();
      this.open.delete(key);
    });
  }
}

function title(folder: vscode.WorkspaceFolder): string {
  return vscode.l10n.t("Chat: {folder}", { folder: folder.name });
}

/** One tab and the answers that it waits for, each of which can be stopped. */
class Tab implements vscode.Disposable {
  private readonly asked = new Map<string, vscode.CancellationTokenSource>();
  private readonly listening: vscode.Disposable[];
  private looked = false;
  private gone = false;
  private waking: vscode.CancellationTokenSource | undefined;

  constructor(
    private readonly panel: vscode.WebviewPanel,
    private readonly folder: vscode.WorkspaceFolder,
    private readonly sidecar: Sidecar,
    private readonly credentials: Credentials,
    dist: vscode.Uri,
    private readonly memory: vscode.Memento,
    /** Of one that VS Code has brought back, with nobody at hand; undefined: a person has opened it. */
    private readonly mayLook: (() => Promise<boolean>) | undefined,
  ) {
    const ours = (operation: string): boolean => this.asked.has(operation);
    this.listening = [
      sidecar.on("slipway/chatBegan", ({ operation, model, release, hash }) => { if (ours(operation)) this.tell({ type: "began", id: operation, who: { model, release, hash } }); }),
      sidecar.on("slipway/chatText", ({ operation, text, thought }) => { if (ours(operation)) this.tell({ type: "text", id: operation, text, thought }); }),
      panel.webview.onDidReceiveMessage((message: FromPage) => void this.hear(message)),
    ];
    panel.webview.options = { enableScripts: true, localResourceRoots: [dist] };
    panel.webview.html = page(panel.webview, dist);
  }

  reveal(): void {
    this.panel.reveal();
  }

  dispose(): void {
    this.gone = true;
    for (const each of this.listening.splice(0)) each.dispose();
    this.waking?.cancel();
    for (const each of this.asked.values()) each.cancel();
  }

  /** How the endpoint stands now. Nothing is woken. */
  async look(): Promise<void> {
    await this.stands(() => this.credentials.attended(() => this.seen()));
  }

  /** The one that nobody has asked for. */
  async firstLook(): Promise<void> {
    if (this.looked) return;
    if (this.mayLook === undefined) {
      await this.look();
    } else if (await this.mayLook()) {
      await this.stands(() => this.seen());
    } else {
      this.tell({ type: "standing", standing: { ...UNKNOWN, text: vscode.l10n.t("Not looked at yet.") } });
    }
  }

  private async seen(): Promise<Standing> {
    return standing(await this.sidecar.ask("slipway/chatModels", { ...this.where, operation: "", wake: false }));
  }

  private async hear(message: FromPage): Promise<void> {
    if (!vscode.workspace.isTrusted && starts(message)) {
      // A tab that came back into a window that is trusted no more.
      const text = vscode.l10n.t("This folder is not trusted, so Slipway starts nothing in it.");
      if (message.type === "ask") this.tell({ type: "failed", id: message.id, problem: text });
      this.tell({ type: "standing", standing: { ...UNKNOWN, text } });
      return;
    }
    switch (message.type) {
      case "ready":
        // Of a page that is made anew (its tab was moved to another window): its last one's answers have nobody who hears them.
        for (const each of this.asked.values()) each.cancel();
        this.tell({ type: "opened", folder: this.folder.uri.toString(), kept: this.memory.get(keyOf(this.folder)) });
        this.looked = false;
        await this.firstLook();
        break;
      case "keep":
        await this.keep(within(message.kept, MOST_KEPT));
        break;
      case "look":
        await this.look();
        break;
      case "wake":
        await this.wake();
        break;
      case "stopWaking":
        this.waking?.cancel();
        break;
      case "ask":
        await this.ask(message.id, message.request);
        break;
      case "stop":
        this.asked.get(message.id)?.cancel();
        break;
      case "copy":
        await this.copied(message.text, vscode.l10n.t("Copied."));
        break;
      case "code":
        await this.code(message.language, message.request);
        break;
      case "go":
        if (WAYS.includes(message.way)) await vscode.commands.executeCommand(message.way, this.folder);
        await this.look();
        break;
    }
  }

  /** The person has said so: an app that sleeps is woken, and waited for. */
  private async wake(): Promise<void> {
    if (this.waking !== undefined) return;
    const waking = (this.waking = new vscode.CancellationTokenSource());
    const operation = crypto.randomUUID();
    const listening = this.sidecar.on("slipway/progress", (event) => { if (event.operation === operation) this.tell({ type: "waking", text: say(event.text) }); });
    this.tell({ type: "waking", text: vscode.l10n.t("It is being woken…") });
    try {
      const woken = async (): Promise<Standing> => standing(await this.sidecar.ask("slipway/chatModels", { ...this.where, operation, wake: true }, waking.token));
      await this.stands(() => this.credentials.attended(woken));
    } finally {
      listening.dispose();
      waking.dispose();
      this.waking = undefined;
    }
  }

  private async ask(id: string, request: ChatRequest): Promise<void> {
    const stop = new vscode.CancellationTokenSource();
    this.asked.set(id, stop);
    try {
      const asked = (): Promise<ChatAnswer> => this.sidecar.ask("slipway/chat", { ...this.where, operation: id, request, consents: [] }, stop.token);
      const { finish, answerTokens } = await this.credentials.attended(asked);
      this.tell({ type: "ended", id, finish, tokens: answerTokens });
    } catch (error) {
      if (error instanceof Cancelled || stop.token.isCancellationRequested) this.tell({ type: "ended", id, finish: "stopped", tokens: null });
      else {
        this.tell({ type: "failed", id, problem: describe(error) });
        // It fell asleep, or its models have changed: what stands above the conversation is to be what is.
        if (error instanceof Refusal) await this.look();
      }
    } finally {
      this.asked.delete(id);
      stop.dispose();
    }
  }

  private async code(language: Language, request: ChatRequest): Promise<void> {
    try {
      const { code } = await this.sidecar.ask("slipway/chatCode", { ...this.where, language, request });
      await this.copied(code, vscode.l10n.t("Copied. The key is read from the variable SLIPWAY_API_KEY (AI Toolkit: Show API key)."));
    } catch (error) {
      void vscode.window.showErrorMessage(describe(error));
    }
  }

  private async copied(text: string, told: string): Promise<void> {
    await vscode.env.clipboard.writeText(text);
    this.tell({ type: "said", text: told });
    vscode.window.setStatusBarMessage(told, 5_000);
  }

  private async stands(look: () => Promise<Standing>): Promise<void> {
    this.looked = true;
    try {
      this.tell({ type: "standing", standing: await look() });
    } catch (error) {
      const text = error instanceof Cancelled ? vscode.l10n.t("Not waited for any more. What has begun to start goes on, and falls asleep by itself.") : describe(error);
      this.tell({ type: "standing", standing: { ...UNKNOWN, text, asleep: error instanceof Cancelled } });
    }
  }

  private async keep(kept: Kept): Promise<void> {
    await this.memory.update(keyOf(this.folder), kept);
  }

  private tell(message: ToPage): void {
    if (this.gone) return; // its panel throws: an answer may end after its tab
    void this.panel.webview.postMessage(message);
  }

  private get where(): { readonly folder: string; readonly cloud: CloudName } {
    return { folder: this.folder.uri.fsPath, cloud: vscode.workspace.getConfiguration("slipway").get<CloudName>("cloud", "auto") };
  }
}

function keyOf(folder: vscode.WorkspaceFolder): string {
  return `slipway.chat ${folder.uri.toString()}`;
}

const UNKNOWN: Standing = { found: null, text: "", detail: "", asleep: false, ways: [] };
