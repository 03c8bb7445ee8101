// Why is it not ready? One named cause in a dialog, with the commands that may help as its buttons.
import * as vscode from "vscode";
import { say } from "./messages";
import { asked, cloudSetting, type Rooms } from "./operate";
import type { Diagnosis, Remedy } from "./protocol";

const COMMANDS: Readonly<Record<Remedy, string>> = {
  start: "slipway.start",
  deploy: "slipway.deploy",
  provision: "slipway.provision",
  rollback: "slipway.rollback",
  logs: "slipway.showLogs",
  systemLogs: "slipway.showSystemLogs",
};

export async function diagnose(rooms: Rooms, folder: vscode.WorkspaceFolder): Promise<void> {
  const title = vscode.l10n.t("Why is it not ready?");
  const found = await asked(rooms, title, () => rooms.sidecar.ask("slipway/diagnose", { folder: folder.uri.fsPath, cloud: cloudSetting() }));
  write(rooms.log, found);
  const buttons = found.remedies.map((remedy) => ({ title: named(remedy), command: COMMANDS[remedy] }));
  const options = { modal: true, detail: detail(found).join("\n") };
  const show = found.failure ? vscode.window.showWarningMessage : vscode.window.showInformationMessage;
  const chosen = await show(say(found.sentence), options, ...buttons);
  if (chosen !== undefined) await vscode.commands.executeCommand(chosen.command, folder);
}

function detail({ advice, certain, seen, unread }: Diagnosis): string[] {
  const guess = certain ? [] : [vscode.l10n.t("This is a guess: nothing that was read says it.")];
  const missing = unread.map((each) => vscode.l10n.t("Unverified: {reason}", { reason: say(each) }));
  const lines = [...(advice === null ? [] : [say(advice)]), ...guess, ...missing];
  return [...lines, ...(lines.length > 0 ? [""] : []), ...seen.map(say)];
}

/** The end of a container's log is too long for a dialog. */
function write(log: vscode.LogOutputChannel, found: Diagnosis): void {
  const cause = found.code === "" ? found.state : `${found.state}, ${found.code}`;
  log.info(`${cause}: ${say(found.sentence)}`);
  for (const each of [...found.seen, ...found.unread]) log.info(say(each));
  if (found.detail !== null) log.info(found.detail);
}

function named(remedy: Remedy): string {
  const names: Readonly<Record<Remedy, string>> = {
    start: vscode.l10n.t("Start inference app"),
    deploy: vscode.l10n.t("Deploy for inference"),
    provision: vscode.l10n.t("Provision Azure Container Apps for inference"),
    rollback: vscode.l10n.t("Roll back inference deployment"),
    logs: vscode.l10n.t("Show logs"),
    systemLogs: vscode.l10n.t("Show system logs"),
  };
  return names[remedy];
}
