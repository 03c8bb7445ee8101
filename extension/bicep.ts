// The Bicep CLI: installed in one click, and offered where a file is outside Slipway's own compiler.
import * as vscode from "vscode";
import { follow, type Way } from "./messages";
import type { Rooms } from "./operate";

/** The code of a file that only the Bicep CLI compiles. */
export const OUTSIDE = "BicepSubset";

export async function installBicep(rooms: Rooms, folder: vscode.WorkspaceFolder): Promise<void> {
  const done = await follow(vscode.l10n.t("Install the Bicep CLI"), rooms.sidecar, (operation, consents, stop) =>
    rooms.sidecar.ask("slipway/bicepInstall", { version: null, consents: [...consents], operation }, stop),
  );
  if (done === undefined) return;
  rooms.problems.clear(folder); // what was outside is not any more
  rooms.log.info(`Bicep CLI ${done.version}: ${done.path}`);
  const facts = { version: done.version };
  const message = done.before ? vscode.l10n.t("The Bicep CLI {version} is installed already.", facts) : vscode.l10n.t("The Bicep CLI {version} is installed. Run the command again.", facts);
  const check = vscode.l10n.t("Check inference set-up");
  if ((await vscode.window.showInformationMessage(message, check)) === check) await vscode.commands.executeCommand("slipway.preflight", folder);
}

export function installWay(folder: vscode.WorkspaceFolder): Way {
  return { title: vscode.l10n.t("Install the Bicep CLI"), go: async () => { await vscode.commands.executeCommand("slipway.installBicep", folder); } };
}
