// What is given away: the endpoint's address and a call of it as code, and diagnostics in one file.
import * as os from "node:os";
import * as path from "node:path";
import * as vscode from "vscode";
import { say, waitedFor } from "./messages";
import { asked, cloudSetting, operate, type Rooms } from "./operate";

type Language = "url" | "curl" | "python" | "javascript";

export const copyUrl = copies("url", () => vscode.l10n.t("Copy endpoint URL"));
export const copyCurl = copies("curl", () => vscode.l10n.t("Copy as curl"));
export const copyPython = copies("python", () => vscode.l10n.t("Copy as Python"));
export const copyJavaScript = copies("javascript", () => vscode.l10n.t("Copy as JavaScript"));

function copies(language: Language, title: () => string) {
  return async (rooms: Rooms, folder: vscode.WorkspaceFolder): Promise<void> => {
    const { code, model } = await asked(rooms, title(), () => rooms.sidecar.ask("slipway/snippet", { folder: folder.uri.fsPath, cloud: cloudSetting(), language }));
    await vscode.env.clipboard.writeText(code);
    await vscode.window.showInformationMessage(told(language, model));
  };
}

/** The key is never in what is copied: the next place for it may be a chat. */
function told(language: Language, model: string | null): string {
  if (language === "url") return vscode.l10n.t("The endpoint's URL is on the clipboard.");
  if (model === null) return vscode.l10n.t("Copied. Put a model's name in place of MODEL: none is awake to name one. The key is read from the variable SLIPWAY_API_KEY.");
  return vscode.l10n.t("Copied. The key is read from the variable SLIPWAY_API_KEY (AI Toolkit: Show API key).");
}

export async function diagnostics(rooms: Rooms, folder: vscode.WorkspaceFolder): Promise<void> {
  const title = vscode.l10n.t("Collect diagnostics");
  const day = new Date().toISOString().slice(0, 10);
  const defaultUri = vscode.Uri.file(path.join(os.homedir(), `slipway-diagnostics-${day}.zip`));
  const chosen = await vscode.window.showSaveDialog({ title, defaultUri, filters: { ZIP: ["zip"] } });
  if (chosen === undefined) return;
  // The dialog has asked before it gave the name of a file that exists.
  const wanted = { folder: folder.uri.fsPath, cloud: cloudSetting(), file: chosen.fsPath, overwrite: true };
  const done = await operate(rooms, title, (operation, _consents, stop) => rooms.sidecar.ask("slipway/diagnostics", { ...wanted, operation }, stop));
  if (done === undefined) return;
  const lines = [
    vscode.l10n.t("Keys, tokens and secrets are taken out; names and addresses are not. Look at it before you share it."),
    ...done.contents.map(({ name, size }) => `${name} (${String(Math.ceil(size / 1024))} KiB)`),
    ...done.missing.map(say),
  ];
  const show = vscode.l10n.t("Show file");
  const message = vscode.l10n.t("The diagnostics are in {file}", { file: done.file });
  if ((await vscode.window.showInformationMessage(message, { modal: true, detail: lines.join("\n") }, show)) === show) await vscode.commands.executeCommand("revealFileInOS", chosen);
}

/** Ends it and starts it anew. What it had begun in the cloud goes on there. */
export async function restartSidecar({ sidecar, view }: Rooms): Promise<void> {
  await waitedFor(vscode.l10n.t("Restart background process"), sidecar.restart());
  await view.look();
  await vscode.window.showInformationMessage(vscode.l10n.t("Slipway's background process was restarted."));
}
