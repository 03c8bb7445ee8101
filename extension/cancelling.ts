// Cancel provisioning: what a Provision has begun in the cloud ends there, and the person reads what exists.
import * as vscode from "vscode";
import { offerLog, say } from "./messages";
import { cloudSetting, operate, type Rooms } from "./operate";
import type { ProvisionTarget } from "./protocol";

/** `target`: where a Provision was begun; null: wherever one of this folder was cut off. */
export async function cancelProvisioning(rooms: Rooms, folder: vscode.WorkspaceFolder, target: ProvisionTarget | null): Promise<void> {
  const done = await operate(rooms, vscode.l10n.t("Cancel provisioning"), (operation, _consents, stop) =>
    rooms.sidecar.ask("slipway/cancelProvisioning", { folder: folder.uri.fsPath, cloud: cloudSetting(), target, operation }, stop),
  );
  if (done === undefined) return;
  const told = say(done.sentence);
  rooms.log.info(told);
  await offerLog(vscode.window.showInformationMessage, told, rooms.log);
}
