// Rotate API key: a new one beside the old, and, once callers have changed, without it.
import * as vscode from "vscode";
import { showApiKey } from "./endpoint";
import { say } from "./messages";
import { cloudSetting, operate, type Rooms } from "./operate";

export async function rotateKey(rooms: Rooms, folder: vscode.WorkspaceFolder): Promise<void> {
  const title = vscode.l10n.t("Rotate API key");
  const go = vscode.l10n.t("Rotate");
  const end = vscode.l10n.t("Finish");
  const message = vscode.l10n.t("Give the endpoint of {folder} a new API key?", { folder: folder.name });
  const detail = vscode.l10n.t("A replica starts anew with both keys, so callers with the old one are answered as before. When they have changed, Finish lets the old one go, which starts a replica anew once more.");
  const chosen = await vscode.window.showWarningMessage(message, { modal: true, detail }, go, end);
  if (chosen === undefined) return;
  const done = await operate(rooms, title, (operation, consents, stop) =>
    rooms.sidecar.ask("slipway/rotateKey", { folder: folder.uri.fsPath, cloud: cloudSetting(), finish: chosen === end, consents, operation }, stop),
  );
  if (done === undefined) return;
  const show = vscode.l10n.t("Show API key");
  const offered = done.between ? [show] : [];
  if ((await vscode.window.showInformationMessage(say(done.sentence), ...offered)) === show) await showApiKey(rooms, folder);
}
