// An app that is there: started and stopped.
import * as vscode from "vscode";
import { say } from "./messages";
import { cloudSetting, operate, type Rooms } from "./operate";

export async function start(rooms: Rooms, folder: vscode.WorkspaceFolder): Promise<void> {
  const title = vscode.l10n.t("Start inference app");
  const done = await operate(rooms, title, (operation, _consents, stop) =>
    rooms.sidecar.ask("slipway/start", { folder: folder.uri.fsPath, cloud: cloudSetting(), operation }, stop),
  );
  if (done !== undefined) await vscode.window.showInformationMessage(say(done.sentence));
}

/** Asked first: whoever uses the endpoint gets 404 from then on. */
export async function stop(rooms: Rooms, folder: vscode.WorkspaceFolder): Promise<void> {
  const title = vscode.l10n.t("Stop inference app");
  const message = vscode.l10n.t("Stop the inference app of {folder}?", { folder: folder.name });
  const detail = vscode.l10n.t("Requests are answered with 404 until it is started again, and wake nothing. No GPU stays awake, so none is billed. A deploy starts it too.");
  const go = vscode.l10n.t("Stop");
  if ((await vscode.window.showWarningMessage(message, { modal: true, detail }, go)) !== go) return;
  const done = await operate(rooms, title, (operation, _consents, cancel) =>
    rooms.sidecar.ask("slipway/stop", { folder: folder.uri.fsPath, cloud: cloudSetting(), operation }, cancel),
  );
  if (done !== undefined) await vscode.window.showInformationMessage(say(done.sentence));
}
