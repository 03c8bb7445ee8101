// The endpoint itself: opened in a browser, and its key shown to the person who asks.
import * as vscode from "vscode";
import { say } from "./messages";
import { asked, cloudSetting, did, type Rooms } from "./operate";

/** The one-time link logs the browser in; without one (no replica awake, no key) the plain page asks for the key. What opens is
 * the app's own address: another one that the workspace names could ask for the key in its place. */
export async function openEndpoint(rooms: Rooms, folder: vscode.WorkspaceFolder): Promise<void> {
  const { url, loginUrl, note } = await asked(rooms, vscode.l10n.t("Go to Inference Endpoint"), () => rooms.sidecar.ask("slipway/endpoint", { folder: folder.uri.fsPath, cloud: cloudSetting() }));
  if (note !== null) {
    rooms.log.warn(say(note));
    void vscode.window.showWarningMessage(say(note));
  }
  await vscode.env.openExternal(vscode.Uri.parse(loginUrl ?? url, true));
  await did("chat");
}

/** A tab in VS Code, to the same endpoint. */
export async function openChat({ chats }: Rooms, folder: vscode.WorkspaceFolder): Promise<void> {
  await chats.show(folder);
  await did("chat");
}

export async function showApiKey(rooms: Rooms, folder: vscode.WorkspaceFolder): Promise<void> {
  const { apiKey } = await asked(rooms, vscode.l10n.t("Show API key"), () => rooms.sidecar.ask("slipway/apiKey", { folder: folder.uri.fsPath, cloud: cloudSetting() }));
  const copy = vscode.l10n.t("Copy");
  const title = vscode.l10n.t("API key of the inference endpoint");
  if ((await vscode.window.showInformationMessage(title, { modal: true, detail: apiKey }, copy)) === copy) await vscode.env.clipboard.writeText(apiKey);
}
