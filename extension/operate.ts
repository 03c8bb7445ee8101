// What every command shares: the rooms it works with, the settings it passes on, and long requests with a person at hand.
import * as vscode from "vscode";
import type { Chats } from "./chat";
import { Refusal, type Sidecar } from "./client";
import type { Credentials } from "./credentials";
import type { Logs } from "./logs";
import { follow, waitedFor, type Ask } from "./messages";
import type { Plans } from "./plans";
import type { Problems } from "./problems";
import type { CloudName, StrategyWish } from "./protocol";
import type { EndpointView } from "./view";
import type { Warmth } from "./warm";

/** What the commands work with. */
export interface Rooms {
  readonly sidecar: Sidecar;
  readonly credentials: Credentials;
  readonly view: EndpointView;
  readonly plans: Plans;
  readonly problems: Problems;
  readonly warmth: Warmth;
  readonly logs: Logs;
  readonly chats: Chats;
  readonly log: vscode.LogOutputChannel;
}

/** A long request with its person at hand; whatever comes of it, the view shows the state after it. */
export function operate<T>({ credentials, sidecar, view }: Rooms, title: string, ask: Ask<T>): Promise<T | undefined> {
  return view.during(() => credentials.attended(() => follow(title, sidecar, ask)));
}

/** A short request with its person at hand. */
export function asked<T>({ credentials }: Rooms, title: string, ask: () => Promise<T>): Promise<T> {
  return waitedFor(title, credentials.attended(ask));
}

/** Steps of the walkthrough, which are done when the thing itself is. */
export type Milestone = "folder" | "provision" | "model" | "deploy" | "chat" | "remove" | "tour";

export async function did(what: Milestone): Promise<void> {
  await vscode.commands.executeCommand("setContext", `slipway.did.${what}`, true);
}

export function cloudSetting(): CloudName {
  return vscode.workspace.getConfiguration("slipway").get<CloudName>("cloud", "auto");
}

/** Asks again with the container app that a person chooses, where the template makes several and does not tell which is ours. */
export async function withApp<T>(title: string, ask: (app: string | null) => Promise<T>): Promise<T | undefined> {
  try {
    return await ask(null);
  } catch (error) {
    if (!(error instanceof Refusal) || error.failure.code !== "SeveralApps") throw error;
    const names = (error.failure.detail ?? "").split("\n");
    const app = await vscode.window.showQuickPick(names, { title, placeHolder: vscode.l10n.t("Which container app is the endpoint?") });
    return app === undefined ? undefined : ask(app);
  }
}

/** The parameters file that is named for a folder; null: the one that is there. */
export function parametersSetting(folder: vscode.WorkspaceFolder): string | null {
  return vscode.workspace.getConfiguration("slipway", folder.uri).get("parameters", "").trim() || null;
}

/** Whether an app whose GPU is awake for long without an answer is stopped. */
export function stopSetting(folder: vscode.WorkspaceFolder): boolean {
  return vscode.workspace.getConfiguration("slipway", folder).get<boolean>("stopUnanswered", false);
}

/** How a release comes into service. */
export function rolloutSetting(folder: vscode.WorkspaceFolder): StrategyWish {
  return vscode.workspace.getConfiguration("slipway", folder).get<StrategyWish>("rollout", "auto");
}

/** Which code a release is made of. */
export function codeSetting(folder: vscode.WorkspaceFolder): string {
  return vscode.workspace.getConfiguration("slipway", folder).get<string>("code", "workspace");
}
