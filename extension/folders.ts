// The workspace folder that a command works on, and what can be read from it without the sidecar.
import { readFile } from "node:fs/promises";
import path from "node:path";
import * as vscode from "vscode";
import { configured } from "./config";

export const CONFIG = "infra/inference.config.json";

/** The only folder, or the one that the person picks; undefined when there is none or nothing was picked. */
export async function pickFolder(placeHolder: string): Promise<vscode.WorkspaceFolder | undefined> {
  const folders = localFolders();
  if (folders.length <= 1) return folders[0];
  const items = await Promise.all(
    folders.map(async (folder) => ({
      label: folder.name,
      description: folder.uri.fsPath,
      detail: (await appName(folder)) ?? "",
      folder,
    })),
  );
  return (await vscode.window.showQuickPick(items, { placeHolder, ignoreFocusOut: true }))?.folder;
}

/** Folders that lie on a disk which the sidecar can read. */
export function localFolders(): readonly vscode.WorkspaceFolder[] {
  return (vscode.workspace.workspaceFolders ?? []).filter((folder) => folder.uri.scheme === "file");
}

/** The container app that the folder's endpoint runs in: null until provisioned, undefined without a readable file. */
export async function appName(folder: vscode.WorkspaceFolder): Promise<string | null | undefined> {
  return stated(folder, "ACA_APP_NAME");
}

/** One value of the folder's configuration. */
export async function stated(folder: vscode.WorkspaceFolder, key: "ACA_APP_NAME" | "ACA_APP_ENDPOINT"): Promise<string | null | undefined> {
  try {
    return configured(await readFile(path.join(folder.uri.fsPath, CONFIG), "utf8"), key);
  } catch {
    // Missing, or not ours to read: the sidecar says what is wrong when a command needs it.
    return undefined;
  }
}
