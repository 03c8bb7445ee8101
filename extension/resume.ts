// What was cut off in another window, or with it: told once, with what can be done.
import * as vscode from "vscode";
import { localFolders } from "./folders";
import { say } from "./messages";
import type { Rooms } from "./operate";
import type { Interrupted } from "./protocol";

/** Commands that are not called as what they do is. */
const COMMANDS: Partial<Record<Interrupted["kind"], string>> = { delete: "remove", rotate: "rotateKey" };

/** Asks the sidecar, which runs, for every open folder; what somebody else is still at is nobody's business. */
export async function offerToGoOn({ sidecar, log }: Pick<Rooms, "sidecar" | "log">): Promise<void> {
  if (!vscode.workspace.isTrusted) return;
  for (const folder of localFolders()) {
    const { interrupted } = await sidecar.ask("slipway/interrupted", { folder: folder.uri.fsPath });
    for (const each of interrupted.filter(({ running }) => !running)) offer(folder, each).catch((error: unknown) => { log.error(String(error)); });
  }

  async function offer(folder: vscode.WorkspaceFolder, { kind, at, sentence, resume }: Interrupted): Promise<void> {
    const facts = { folder: folder.name, at: new Date(at).toLocaleString(), left: say(sentence) };
    const messages = {
      deploy: vscode.l10n.t("A deployment of {folder} was cut off at {at}. {left}", facts),
      rollback: vscode.l10n.t("A roll back of {folder} was cut off at {at}. {left}", facts),
      provision: vscode.l10n.t("Provisioning for {folder} was cut off at {at}. {left}", facts),
      delete: vscode.l10n.t("A deletion of {folder}'s inference resources was cut off at {at}. {left}", facts),
      rotate: vscode.l10n.t("A change of {folder}'s API key was cut off at {at}. {left}", facts),
      start: vscode.l10n.t("A start of {folder}'s app was cut off at {at}. {left}", facts),
      stop: vscode.l10n.t("A stop of {folder}'s app was cut off at {at}. {left}", facts),
    };
    const message = messages[kind];
    log.warn(message);
    const go = vscode.l10n.t("Go on");
    const discard = vscode.l10n.t("Discard");
    const chosen = await vscode.window.showWarningMessage(message, ...(resume === null ? [] : [go]), discard);
    if (chosen === go) await vscode.commands.executeCommand(`slipway.${COMMANDS[kind] ?? kind}`, folder);
    if (chosen === discard) await sidecar.ask("slipway/discard", { folder: folder.uri.fsPath, kind });
  }
}
