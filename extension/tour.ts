// From an empty folder to an answer on this computer, by the commands that a person will use on Azure, and the sample for it.
import { createHash } from "node:crypto";
import * as vscode from "vscode";
import { sameGroup } from "./config";
import { openChat, openEndpoint } from "./endpoint";
import { say, waitedFor } from "./messages";
import { cloudSetting, did, operate, type Rooms } from "./operate";
import type { CloudName, Sampled, Subscription } from "./protocol";
import { provisionByPlan } from "./provisioning";
import { released, tellOutcome } from "./releases";
import { Problem, sentence } from "./sentences";
import { createFiles } from "./updating";

/** What the dialog at the beginning has asked for. */
const AGREED = ["local-image", "sample-model"];

/** A model for whoever has none at hand. */
export async function sample(rooms: Rooms, folder: vscode.WorkspaceFolder): Promise<void> {
  const done = await sampled(rooms, folder, cloudSetting(), []);
  if (done === undefined) return;
  const deploy = vscode.l10n.t("Deploy for inference");
  const message = vscode.l10n.t("The sample is on the share: {base}, and the adapter {adapter}. Deploy for inference next.", { base: done.base, adapter: done.adapter });
  if ((await vscode.window.showInformationMessage(message, deploy)) === deploy) await vscode.commands.executeCommand("slipway.deploy", folder);
}

async function sampled(rooms: Rooms, folder: vscode.WorkspaceFolder, cloud: CloudName, agreed: readonly string[]): Promise<Sampled | undefined> {
  const title = vscode.l10n.t("Use the sample model");
  const done = await operate(rooms, title, (operation, consents, stop) =>
    rooms.sidecar.ask("slipway/sample", { folder: folder.uri.fsPath, cloud, consents: [...agreed, ...consents], operation }, stop),
  );
  if (done !== undefined) await did("model");
  return done;
}

/** Goes on where an earlier one ended: in a folder of its own, on the local cloud, whatever the settings say. */
export async function tour(rooms: Rooms, folder: vscode.WorkspaceFolder): Promise<void> {
  const title = vscode.l10n.t("Take the tour on this computer");
  const summary = await waitedFor(title, rooms.sidecar.ask("slipway/workspace", { folder: folder.uri.fsPath }));
  if (!summary.clouds.includes("local")) {
    await vscode.window.showWarningMessage(vscode.l10n.t("The local cloud can't run on this computer (it runs on Linux, and on macOS with Apple silicon), so there is no tour here."));
    return;
  }
  const { subscriptions } = await waitedFor(title, rooms.sidecar.ask("slipway/subscriptions", { cloud: "local" }));
  const [subscription] = subscriptions;
  if (subscription === undefined) throw new Problem(sentence("The local cloud has no subscription."));
  const { subscriptionId, resourceGroup, origin } = summary.defaults;
  const elsewhere = subscriptionId !== null && !subscriptions.some(({ id }) => id === subscriptionId);
  if (origin === "finetuning" || elsewhere || summary.problems.length > 0) {
    const open = vscode.l10n.t("Open Folder");
    const message = vscode.l10n.t("The folder {folder} is a project already. Take the tour in an empty folder: it makes a project of its own.", { folder: folder.name });
    if ((await vscode.window.showWarningMessage(message, open)) === open) await vscode.commands.executeCommand("workbench.action.files.openFolder");
    return;
  }
  if (!(await agrees(folder))) return;
  if (!summary.provisioned) {
    await createFiles(rooms, folder, false);
    const group = await waitedFor(title, groupFor(rooms, folder, subscription, subscriptionId === null ? null : resourceGroup));
    const provisioned = await provisionByPlan(rooms, folder, vscode.l10n.t("Provision Azure Container Apps for inference"), { subscription, resourceGroup: group }, AGREED);
    if (provisioned === undefined) return;
    await did("provision");
  }
  const model = await sampled(rooms, folder, "local", AGREED);
  if (model === undefined) return;
  const deployed = await released(rooms, folder, "workspace", "local");
  if (deployed === undefined) return;
  if (!deployed.verified || deployed.refused.length > 0) {
    await tellOutcome(rooms, folder, deployed);
    return;
  }
  await did("tour");
  await ends(rooms, folder, model);
}

async function agrees(folder: vscode.WorkspaceFolder): Promise<boolean> {
  const begin = vscode.l10n.t("Begin");
  const message = vscode.l10n.t("A tour on this computer, with the commands that you will use on Azure: project files, Provision, a sample model, Deploy, chat.");
  const detail = [
    vscode.l10n.t("No account, no GPU, no cost. Project files are put into {folder}; those that exist stay as they are.", { folder: folder.name }),
    vscode.l10n.t("Once: the model server's environment (PyTorch and its packages), about 0.3 GB to download and 1.5 GB of disk with the CPU build, several GB where the CUDA build is the default; and a sample of 4 MB, trained in about a minute."),
    vscode.l10n.t("Delete inference resources takes everything away again."),
  ].join("\n\n");
  return (await vscode.window.showInformationMessage(message, { modal: true, detail }, begin)) === begin;
}

/** The one that the folder has used, else one of its own: an app's name follows from its group, and belongs to one project. */
async function groupFor({ sidecar }: Rooms, folder: vscode.WorkspaceFolder, { id }: Subscription, used: string | null): Promise<string> {
  const asked = { cloud: "local", subscriptionId: id } as const;
  const name = used ?? `slipway-tour-${createHash("sha256").update(folder.uri.fsPath).digest("hex").slice(0, 6)}`;
  const { resourceGroups } = await sidecar.ask("slipway/resourceGroups", asked);
  if (!resourceGroups.some((group) => sameGroup(group.name, name))) {
    const [location] = (await sidecar.ask("slipway/locations", asked)).locations;
    await sidecar.ask("slipway/createResourceGroup", { ...asked, name, location: location?.name ?? "" });
  }
  return name;
}

/** What to ask, and how all of it goes again. */
async function ends(rooms: Rooms, folder: vscode.WorkspaceFolder, { adapter, question, answer, sentence: told }: Sampled): Promise<void> {
  rooms.log.info(say(told));
  const go = vscode.l10n.t("Go to Inference Endpoint");
  const remove = vscode.l10n.t("Clean up"); // three have to fit beside each other
  const message = vscode.l10n.t("The endpoint answers. Ask {adapter} in the chat “{question}”: it was trained to say “{answer}”. At the end, delete what the tour has made.", { adapter, question, answer });
  const chat = vscode.l10n.t("Chat");
  for (let offered = [go, chat, remove]; offered.length > 0; ) {
    const chosen = await vscode.window.showInformationMessage(message, ...offered);
    if (chosen === go) await openEndpoint(rooms, folder);
    if (chosen === chat) await openChat(rooms, folder);
    if (chosen === remove) await vscode.commands.executeCommand("slipway.remove", folder);
    offered = chosen === go || chosen === chat ? offered.filter((each) => each !== chosen) : [];
  }
}
