// Upload model or adapter: a folder of this machine goes to the app's share, and an adapter answers at once.
import * as vscode from "vscode";
import { say, waitedFor } from "./messages";
import { cloudSetting, did, operate, type Rooms } from "./operate";
import type { FolderHeld, Uploaded } from "./protocol";

/** As many files as a share serves side by side. */
const SHARDED = 16;

export async function upload(rooms: Rooms, folder: vscode.WorkspaceFolder): Promise<void> {
  const title = vscode.l10n.t("Upload model or adapter");
  const openLabel = vscode.l10n.t("Upload");
  const [chosen] = (await vscode.window.showOpenDialog({ title, openLabel, canSelectFiles: false, canSelectFolders: true, canSelectMany: false, defaultUri: folder.uri })) ?? [];
  if (chosen === undefined) return;
  const source = chosen.fsPath;
  const held = await waitedFor(title, rooms.sidecar.ask("slipway/folderHeld", { source }));
  const name = await askName(title, held);
  if (name === undefined) return;
  const shards = await askShards(title, held);
  if (shards === undefined) return;
  const done = await operate(rooms, title, (operation, consents, stop) =>
    rooms.sidecar.ask("slipway/upload", { folder: folder.uri.fsPath, cloud: cloudSetting(), source, name, shards, consents, operation }, stop),
  );
  if (done === undefined) return;
  await did("model");
  await offerNext(folder, done);
}

/** An adapter of this name that is there is replaced. */
async function askName(title: string, { kind, name, files, size }: FolderHeld): Promise<string | undefined> {
  const told = { files: String(files), size: (size / 1e6).toFixed(1) };
  const prompt =
    kind === "adapter"
      ? vscode.l10n.t("An adapter of {files} files, {size} MB. Name by which it is called; one of this name on the share is replaced.", told)
      : vscode.l10n.t("A base model of {files} files, {size} MB. Its name, organisation/model, as it is published.", told);
  return vscode.window.showInputBox({ title, prompt, value: name ?? "", ignoreFocusOut: true, validateInput: (value) => problemOf(kind, value) });
}

function problemOf(kind: FolderHeld["kind"], value: string): string | undefined {
  if (value.trim() === "") return vscode.l10n.t("A name is needed.");
  return kind === "base" && !/^[\w.-]+\/[\w.-]+$/.test(value) ? vscode.l10n.t("organisation/model, as it is published.") : undefined;
}

async function askShards(title: string, { kind, weights }: FolderHeld): Promise<number | undefined> {
  if (kind === "adapter" || weights >= SHARDED) return 0;
  const choices = [
    { label: vscode.l10n.t("As it is (files of weights: {count})", { count: String(weights) }), shards: 0 },
    {
      label: vscode.l10n.t("Spread over {count} files", { count: String(SHARDED) }),
      detail: vscode.l10n.t("A share serves several files at once, each no faster than one. Your own files stay as they are."),
      shards: SHARDED,
    },
  ];
  return (await vscode.window.showQuickPick(choices, { title, ignoreFocusOut: true }))?.shards;
}

async function offerNext(folder: vscode.WorkspaceFolder, { live, sentence, notes }: Uploaded): Promise<void> {
  const open = vscode.l10n.t("Go to Inference Endpoint");
  const deploy = vscode.l10n.t("Deploy for inference");
  const offered = live === "live" ? [open] : live === "stored" ? [deploy] : [];
  const message = [sentence, ...notes].map(say).join(" ");
  const show = live === "partly" || notes.length > 0 ? vscode.window.showWarningMessage : vscode.window.showInformationMessage;
  const chosen = await show(message, ...offered);
  if (chosen === open) await vscode.commands.executeCommand("slipway.openEndpoint", folder);
  if (chosen === deploy) await vscode.commands.executeCommand("slipway.deploy", folder);
}
