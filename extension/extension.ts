// Builds the rooms of the extension, in order, and takes them down again.
import * as vscode from "vscode";
import { offerToAssistants } from "./assistants";
import { Chats } from "./chat";
import { registerCases } from "./cases";
import { ChatModels } from "./chatmodels";
import { Sidecar } from "./client";
import { registerCommands } from "./commands";
import { Credentials } from "./credentials";
import { registerAnswers } from "./evaluating";
import { launch, needsNoSetUp } from "./launch";
import { Logs } from "./logs";
import { describe, say, showFailure } from "./messages";
import { Plans } from "./plans";
import { Problems } from "./problems";
import { Resume } from "./resume";
import { EndpointView } from "./view";
import { Warmth } from "./warm";

// VS Code hands `deactivate` nothing, and waits for what it returns, not for what is in `subscriptions`: who must have ended
// before the window goes stands here.
const awaited: { stop: () => Promise<void> }[] = [];

export function activate(context: vscode.ExtensionContext): void {
  const log = vscode.window.createOutputChannel("Slipway", { log: true });
  const credentials = new Credentials();
  const sidecar = new Sidecar(
    (stop) => launch(context, log, stop),
    log,
    (problem) => void showFailure(problem, log),
  );
  awaited.push(sidecar);
  sidecar.answer("slipway/token", (params) => credentials.token(params));
  sidecar.on("slipway/log", ({ level, text }) => {
    log[level === "warning" ? "warn" : level](say(text));
  });
  const mayStart = (): Promise<boolean> => needsNoSetUp(context, log);
  const view = new EndpointView(sidecar, log, mayStart);
  const resume = new Resume({ sidecar, log });
  const plans = new Plans();
  const problems = new Problems();
  const warmth = new Warmth(sidecar);
  const logs = new Logs(sidecar, credentials);
  const chats = new Chats(sidecar, credentials, context.extensionUri, context.workspaceState, mayStart);
  const models = new ChatModels(sidecar, credentials, view);
  const rooms = { sidecar, credentials, view, plans, problems, logs, chats, warmth, log };
  context.subscriptions.push(
    log,
    models,
    ...offerToAssistants(() => launch(context, log, new AbortController().signal), mayStart, (context.extension.packageJSON as { readonly version: string }).version),
    plans,
    registerAnswers(),
    problems,
    logs,
    chats,
    warmth,
    sidecar,
    view,
    ...registerCommands(rooms, context.extension.packageJSON),
    registerCases(rooms),
    sidecar.onDidChangeAlive((alive) => {
      if (!alive) return;
      void view.look();
      chats.lookAgain();
      resume.offer().catch((error: unknown) => showFailure(error, log));
    }),
    view.onDidChangeTreeData(() => { models.refresh(); }),
    sidecar.onDidTell((told) => { problems.heard(told); }),
    vscode.workspace.onDidChangeWorkspaceFolders(() => void view.look()),
    vscode.window.onDidChangeWindowState(({ focused }) => {
      if (focused) void view.lookAgain();
    }),
    vscode.workspace.onDidGrantWorkspaceTrust(() => {
      void view.look();
      chats.lookAgain();
    }),
    vscode.workspace.onDidChangeConfiguration((event) => {
      if (!event.affectsConfiguration("slipway.python") && !event.affectsConfiguration("slipway.bicep")) return;
      if (sidecar.isRunning) sidecar.restart().catch((error: unknown) => showFailure(error, log));
      else {
        // What may be started has changed; in a remote window settings may also come only after the extension.
        void view.look();
        chats.lookAgain();
      }
    }),
  );
  // Not waited for: they may start the sidecar, and commands are ready before that. A Provision that was cut off has left nothing
  // that the view would look at.
  void view.look();
  mayStart().then((may) => (may ? resume.offer() : undefined)).catch((error: unknown) => { log.warn(describe(error)); });
}

export async function deactivate(): Promise<void> {
  await Promise.all(awaited.splice(0).map((each) => each.stop()));
}
