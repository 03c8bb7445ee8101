// Builds the rooms of the extension, in order, and takes them down again.
import * as vscode from "vscode";
import { Sidecar } from "./client";
import { registerCommands } from "./commands";
import { Credentials } from "./credentials";
import { launch, needsNoSetUp } from "./launch";
import { say, showFailure } from "./messages";
import { Problems } from "./problems";
import { EndpointView } from "./view";

let sidecar: Sidecar | undefined;

export function activate(context: vscode.ExtensionContext): void {
  const log = vscode.window.createOutputChannel("Slipway", { log: true });
  const credentials = new Credentials();
  const running = new Sidecar(
    (stop) => launch(context, log, stop),
    log,
    (problem) => void showFailure(problem, log),
  );
  sidecar = running;
  running.answer("slipway/token", (params) => credentials.token(params));
  running.on("slipway/log", ({ level, text }) => {
    log[level === "warning" ? "warn" : level](say(text));
  });
  const view = new EndpointView(running, log, () => needsNoSetUp(context, log));
  const problems = new Problems();
  context.subscriptions.push(
    log,
    problems,
    running,
    view,
    ...registerCommands({ sidecar: running, credentials, view, problems, log }),
    running.onDidChangeAlive((alive) => {
      if (alive) void view.look();
    }),
    vscode.workspace.onDidChangeWorkspaceFolders(() => void view.look()),
    vscode.workspace.onDidGrantWorkspaceTrust(() => void view.look()),
    vscode.workspace.onDidChangeConfiguration((event) => {
      if (event.affectsConfiguration("slipway.python") && running.isRunning) {
        running.restart().catch((error: unknown) => showFailure(error, log));
      }
    }),
  );
  // Not waited for: it may start the sidecar, and commands are ready before that.
  void view.look();
}

export async function deactivate(): Promise<void> {
  await sidecar?.stop();
}
