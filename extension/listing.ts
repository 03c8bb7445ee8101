// Every command of ours in one list, for whoever looks for them by another name than theirs.
import * as vscode from "vscode";
import { localFolders } from "./folders";

interface Manifest {
  readonly contributes: {
    readonly commands: readonly { readonly command: string; readonly category: string; readonly title: string; readonly icon: string }[];
    readonly menus: { readonly commandPalette: readonly { readonly command: string; readonly when: string }[] };
  };
}

/** Runs the one that is chosen. `provisioned`: what the palette shows only then is listed only then. */
export async function showCommands(manifest: unknown, provisioned: boolean): Promise<void> {
  const { commands, menus } = (manifest as Manifest).contributes;
  const conditions = new Map(menus.commandPalette.map(({ command, when }) => [command, when]));
  const met = (when: string | undefined): boolean => when === undefined || (when === "slipway.provisioned" ? provisioned : when === "workspaceFolderCount > 0" && localFolders().length > 0);
  const items = commands
    .filter(({ command }) => !command.startsWith("slipway.commands") && met(conditions.get(command)))
    .map(({ command, category, title, icon }) => ({ label: `${icon} ${category}: ${title}`, command }));
  const chosen = await vscode.window.showQuickPick(items, { title: vscode.l10n.t("Slipway's commands"), placeHolder: vscode.l10n.t("Select a command to run") });
  if (chosen !== undefined) await vscode.commands.executeCommand(chosen.command);
}
