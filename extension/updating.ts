// Project files: made, and brought up to a newer Slipway with the person's edits kept; what is in conflict is shown side by side.
import path from "node:path";
import * as vscode from "vscode";
import { say, waitedFor } from "./messages";
import type { Rooms } from "./operate";
import type { Created, FilesUpdate, UpdatedFile, WorkspaceSummary } from "./protocol";

export async function createProjectFiles(rooms: Rooms, folder: vscode.WorkspaceFolder): Promise<void> {
  const made = await createFiles(rooms, folder, false);
  const message =
    made.created.length === 0
      ? vscode.l10n.t("All project files are already there; none was changed.")
      : vscode.l10n.t("{count} project files were created in {folder}.", { count: String(made.created.length), folder: folder.name });
  if (made.own.length === 0) {
    await vscode.window.showInformationMessage(message);
    return;
  }
  const beside = vscode.l10n.t("Put Slipway's server beside it");
  const own = vscode.l10n.t("inference/ holds a server of your own ({count} files), which was left alone.", { count: String(made.own.length) });
  if ((await vscode.window.showWarningMessage(`${message} ${own}`, beside)) !== beside) return;
  const added = await createFiles(rooms, folder, true);
  await vscode.window.showInformationMessage(vscode.l10n.t("{count} project files were created in {folder}.", { count: String(added.created.length), folder: folder.name }));
}

/** A server of somebody's own in `inference/` is left alone, unless ours is to stand beside it. */
export async function createFiles({ sidecar, log }: Rooms, folder: vscode.WorkspaceFolder, beside: boolean): Promise<Created> {
  const made = await waitedFor(vscode.l10n.t("Create project files"), sidecar.ask("slipway/init", { folder: folder.uri.fsPath, beside }));
  for (const file of made.created) log.info(file);
  return made;
}

/** Folders whose person has been told in this window. */
const told = new Set<string>();

/** Once a window: the folder's files are of another version than this one's. Nothing waits for the answer. */
export function offerUpdate(folder: vscode.WorkspaceFolder, { filesOf }: WorkspaceSummary): void {
  if (filesOf === null || told.has(folder.uri.fsPath)) return;
  told.add(folder.uri.fsPath);
  const show = vscode.l10n.t("Show changes");
  const message = vscode.l10n.t("The project files in {folder} are those of Slipway {version}; this one brings newer ones.", { folder: folder.name, version: filesOf });
  void vscode.window.showInformationMessage(message, show).then((chosen) => (chosen === show ? vscode.commands.executeCommand("slipway.updateFiles", folder) : undefined));
}

/** Lists what would become of each file, does it once it is agreed to, then has each conflict decided. */
export async function updateFiles(rooms: Rooms, folder: vscode.WorkspaceFolder): Promise<void> {
  const title = vscode.l10n.t("Update project files");
  const ask = (plan: boolean, mine: readonly string[] = [], theirs: readonly string[] = []): Promise<FilesUpdate> =>
    waitedFor(title, rooms.sidecar.ask("slipway/updateFiles", { folder: folder.uri.fsPath, plan, mine: [...mine], theirs: [...theirs] }));
  const planned = await ask(true);
  const update = vscode.l10n.t("Update");
  const changes = planned.files.filter(({ kind }) => kind !== "kept" && kind !== "deleted");
  if (changes.length === 0) {
    await vscode.window.showInformationMessage(say(planned.sentence));
    return;
  }
  const detail = planned.files.map((each) => `${each.path}: ${fate(each)}`).join("\n");
  if ((await vscode.window.showInformationMessage(say(planned.sentence), { modal: true, detail }, update)) !== update) return;
  let done = await ask(false);
  for (const each of done.files) rooms.log.info(`${each.path}: ${fate(each)}`);
  for (const { path: file, kind } of done.files) {
    if (kind !== "conflict") continue;
    const decision = await decided(title, folder, done.shipped, file);
    if (decision === undefined) break;
    done = await ask(false, decision === "mine" ? [file] : [], decision === "theirs" ? [file] : []);
  }
  const left = done.files.filter(({ kind }) => kind === "conflict").map(({ path: file }) => file);
  const message =
    left.length === 0
      ? vscode.l10n.t("The project's files are those of Slipway {version}, with your edits.", { version: done.version })
      : vscode.l10n.t("Updated, but in conflict and left as they are: {files}.", { files: left.join(", ") });
  await (left.length === 0 ? vscode.window.showInformationMessage(message) : vscode.window.showWarningMessage(message));
}

/** Both versions side by side; undefined when the person decides later. */
async function decided(title: string, folder: vscode.WorkspaceFolder, shipped: string, file: string): Promise<"mine" | "theirs" | undefined> {
  const [own, brought] = [vscode.Uri.joinPath(folder.uri, file), vscode.Uri.file(path.join(shipped, file))];
  await vscode.commands.executeCommand("vscode.diff", brought, own, vscode.l10n.t("{file}: Slipway's against yours", { file }));
  const [keep, take] = [vscode.l10n.t("Keep mine"), vscode.l10n.t("Take Slipway's")];
  const message = vscode.l10n.t("{title}: you and Slipway have both changed {file} in the same place. Edit yours on the right, or:", { title, file });
  const chosen = await vscode.window.showWarningMessage(message, keep, take, vscode.l10n.t("Decide later"));
  return chosen === keep ? "mine" : chosen === take ? "theirs" : undefined;
}

function fate({ kind }: UpdatedFile): string {
  const names: Readonly<Record<UpdatedFile["kind"], string>> = {
    added: vscode.l10n.t("new"),
    replaced: vscode.l10n.t("replaced (you have not changed it)"),
    merged: vscode.l10n.t("merged with your edits"),
    removed: vscode.l10n.t("removed (Slipway no longer brings it)"),
    conflict: vscode.l10n.t("in conflict: stays as it is"),
    kept: vscode.l10n.t("stays as you have it"),
    deleted: vscode.l10n.t("stays deleted"),
    same: vscode.l10n.t("unchanged"),
  };
  return names[kind];
}

/** The folder's summary, after offering the project files that are missing; undefined when the person declines. `title`: of the command
 * that waits for it; undefined where something else shows that meanwhile. */
export async function summaryWithFiles(rooms: Rooms, folder: vscode.WorkspaceFolder, needed: "hasTemplate" | "hasCode", title: string | undefined): Promise<WorkspaceSummary | undefined> {
  const ask = (): Promise<WorkspaceSummary> => rooms.sidecar.ask("slipway/workspace", { folder: folder.uri.fsPath });
  const summary = await (title === undefined ? ask() : waitedFor(title, ask()));
  for (const problem of summary.problems) rooms.log.warn(say(problem));
  offerUpdate(folder, summary);
  if (summary[needed]) return summary;
  const create = vscode.l10n.t("Create project files");
  const message =
    needed === "hasTemplate"
      ? vscode.l10n.t("The folder {folder} has no infra/provision/inference.bicep.", { folder: folder.name })
      : vscode.l10n.t("The folder {folder} has no inference code to deploy (inference/).", { folder: folder.name });
  const detail = vscode.l10n.t("Slipway can put its own infra/ and inference/ there. Files that exist stay as they are.");
  if ((await vscode.window.showInformationMessage(message, { modal: true, detail }, create)) !== create) return undefined;
  await createFiles(rooms, folder, false);
  return ask();
}
