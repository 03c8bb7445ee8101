// The palette: one table of commands. Each asks the person, asks the sidecar, and offers what comes next.
import { existsSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import * as vscode from "vscode";
import { cancelProvisioning } from "./cancelling";
import { Refusal } from "./client";
import { sameGroup } from "./config";
import { diagnose } from "./diagnose";
import { openChat, openEndpoint, showApiKey } from "./endpoint";
import { localFolders, pickFolder } from "./folders";
import { evaluate, openReport } from "./evaluating";
import { installBicep, installWay, OUTSIDE } from "./bicep";
import { showCommands } from "./listing";
import { describe, say, showFailure, waitedFor, type Way } from "./messages";
import { cloudSetting, did, type Rooms } from "./operate";
import { start, stop } from "./operating";
import { pickTarget, type Source, type Target } from "./picks";
import type { Provisioned, WorkspaceDefaults, WorkspaceSummary } from "./protocol";
import { preflight } from "./preflight";
import { provisionByPlan } from "./provisioning";
import { deploy, preview, rollBack } from "./releases";
import { remove } from "./removing";
import { begunIn, targetIn } from "./resume";
import { rotateKey } from "./rotation";
import { Problem } from "./sentences";
import { copyCurl, copyJavaScript, copyPython, copyUrl, diagnostics, restartSidecar } from "./sharing";
import { sample, tour } from "./tour";
import { createProjectFiles, summaryWithFiles, updateFiles } from "./updating";
import { upload } from "./uploading";
import { isRow } from "./view";

type Command = (rooms: Rooms, folder: vscode.WorkspaceFolder, given: unknown) => Promise<void>;

/** Commands that work on one folder, which must be trusted and open. */
const FOLDER_COMMANDS: Readonly<Record<string, Command>> = {
  "slipway.preflight": checkSetUp,
  "slipway.provision": provision,
  "slipway.cancelProvisioning": (rooms, folder, given) => cancelProvisioning(rooms, folder, begunIn(given)),
  "slipway.deploy": deploy,
  "slipway.preview": preview,
  "slipway.rollback": rollBack,
  "slipway.openEndpoint": openEndpoint,
  "slipway.chat": openChat,
  "slipway.showApiKey": showApiKey,
  "slipway.diagnose": diagnose,
  "slipway.showLogs": showLogs,
  "slipway.showSystemLogs": showSystemLogs,
  "slipway.start": start,
  "slipway.stop": stop,
  "slipway.remove": remove,
  "slipway.copyUrl": copyUrl,
  "slipway.copyCurl": copyCurl,
  "slipway.copyPython": copyPython,
  "slipway.copyJavaScript": copyJavaScript,
  "slipway.diagnostics": diagnostics,
  "slipway.evaluate": evaluate,
  "slipway.restartSidecar": restartSidecar,
  "slipway.rotateKey": rotateKey,
  "slipway.keepWarm": keepWarm,
  "slipway.upload": upload,
  "slipway.sample": sample,
  "slipway.tour": tour,
  "slipway.init": createProjectFiles,
  "slipway.updateFiles": updateFiles,
  "slipway.installBicep": installBicep,
  "slipway.refresh": refresh,
};

const TEMPLATE = "infra/provision/inference.bicep";
/** What the sidecar's `hindrance` says, guessed until it has said it: the local cloud needs Linux, or macOS on Apple silicon. */
const RUNS_HERE = process.platform === "linux" || (process.platform === "darwin" && process.arch === "arm64");

/** Commands that start a release: when they fail, its logs say why. */
const STARTING: readonly string[] = ["slipway.deploy", "slipway.rollback"];

/** `manifest`: the extension's own, in the window's language. */
export function registerCommands(rooms: Rooms, manifest: unknown): readonly vscode.Disposable[] {
  const folderCommands = Object.entries(FOLDER_COMMANDS).map(([id, command]) =>
    vscode.commands.registerCommand(id, async (folder?: unknown, given?: unknown) => {
      let chosen: vscode.WorkspaceFolder | undefined;
      try {
        chosen = await usableFolder(isRow(folder) ? rooms.view.shown : folder);
        if (chosen === undefined) return;
        await did("folder"); // not before: VS Code never counts a step whose condition held when it got to know of the step
        rooms.view.follow(chosen);
        await command(rooms, chosen, given);
      } catch (error) {
        if (error instanceof Refusal && chosen !== undefined) rooms.problems.show(chosen, error.failure.problems);
        await showFailure(error, rooms.log, chosen === undefined ? [] : waysOn(id, error, chosen));
      }
    }),
  );
  return [
    ...folderCommands,
    vscode.commands.registerCommand("slipway.showLog", () => { rooms.log.show(); }),
    vscode.commands.registerCommand("slipway.stopLogs", () => { rooms.logs.stop(); }),
    vscode.commands.registerCommand("slipway.commands", () => showCommands(manifest, rooms.view.provisioned)),
    vscode.commands.registerCommand("slipway.commandsOfSlipway", () => showCommands(manifest, rooms.view.provisioned)),
  ];
}

/** From a release that did not start to what says why, or to a model where none is. */
function waysOn(id: string, error: unknown, folder: vscode.WorkspaceFolder): readonly Way[] {
  if (error instanceof Refusal && error.failure.code === OUTSIDE) return [installWay(folder)];
  if (!STARTING.includes(id) || !(error instanceof Refusal)) return [];
  const { document } = error.failure;
  if (document !== null) return [{ title: vscode.l10n.t("Open report"), go: () => openReport(document), leads: true }];
  const lead = (command: string) => async (): Promise<void> => { await vscode.commands.executeCommand(command, folder); };
  if (error.failure.code === "NoBaseModel") {
    return [
      { title: vscode.l10n.t("Upload"), go: lead("slipway.upload") },
      { title: vscode.l10n.t("Use the sample model"), go: lead("slipway.sample") },
    ];
  }
  // Only what was read elsewhere, of a release that was started, has logs of its own; a mistake in a file has started nothing.
  if (error.detail === undefined || error.failure.problems.length > 0) return [];
  return [
    { title: vscode.l10n.t("Why is it not ready?"), go: lead("slipway.diagnose") },
    { title: vscode.l10n.t("Endpoint's logs"), go: lead("slipway.showLogs") },
  ];
}

function showLogs(rooms: Rooms, folder: vscode.WorkspaceFolder): Promise<void> {
  rooms.logs.show(folder, "console");
  return Promise.resolve();
}

function showSystemLogs(rooms: Rooms, folder: vscode.WorkspaceFolder): Promise<void> {
  rooms.logs.show(folder, "system");
  return Promise.resolve();
}

/** `given`: where a Provision that was cut off had begun; it goes on there without a question. */
async function provision(rooms: Rooms, folder: vscode.WorkspaceFolder, given: unknown): Promise<void> {
  const title = vscode.l10n.t("Provision Azure Container Apps for inference");
  const target = targetIn(given) ?? (await targetFor(rooms, folder, title));
  if (target === undefined) return;
  const provisioned = await provisionByPlan(rooms, folder, title, target);
  if (provisioned === undefined) return;
  await did("provision");
  await offerDeploy(folder, provisioned);
}

async function checkSetUp(rooms: Rooms, folder: vscode.WorkspaceFolder): Promise<void> {
  const target = await targetFor(rooms, folder, vscode.l10n.t("Check inference set-up"), false);
  if (target !== undefined) await preflight(rooms, folder, target);
}

/** Where the person wants it. In a folder that has a template no question comes before this one: it opens at once, and its rows
 * come when the sidecar has started. */
async function targetFor(rooms: Rooms, folder: vscode.WorkspaceFolder, title: string, asksTwice = true): Promise<Target | undefined> {
  const there = existsSync(path.join(folder.uri.fsPath, TEMPLATE));
  const summary = summaryWithFiles(rooms, folder, "hasTemplate", there ? undefined : title);
  if (!there && (await summary) === undefined) return undefined;
  const known = summary.then((found) => {
    if (found === undefined) throw new vscode.CancellationError(); // the file went in this moment, and the person wants no other
    return found;
  });
  const target = await pickTarget(title, source(rooms, folder, known));
  if (target === undefined) {
    known.catch((error: unknown) => { rooms.log.warn(describe(error)); }); // the person has left before it was known
    return undefined;
  }
  return !asksTwice || (await agreesWithFineTuning(target, (await known).defaults)) ? target : undefined;
}

async function offerDeploy(folder: vscode.WorkspaceFolder, { portalUrl }: Provisioned): Promise<void> {
  const deployNow = vscode.l10n.t("Deploy for inference");
  const portal = vscode.l10n.t("Open in the Azure portal");
  const message = vscode.l10n.t("Provisioned. The endpoint waits for your inference code and model: deploy for inference next.");
  const chosen = await vscode.window.showInformationMessage(message, deployNow, ...(portalUrl === null ? [] : [portal]));
  if (chosen === deployNow) await vscode.commands.executeCommand("slipway.deploy", folder);
  if (chosen === portal && portalUrl !== null) await vscode.env.openExternal(vscode.Uri.parse(portalUrl));
}

/** Looked at first, with the person at hand: the requests themselves ask nobody to sign in. */
async function keepWarm({ view, credentials, warmth }: Rooms, folder: vscode.WorkspaceFolder): Promise<void> {
  if (!warmth.on) await waitedFor(vscode.l10n.t("Slipway: keep warm"), credentials.attended(() => view.look()));
  await warmth.toggle(folder);
}

async function refresh({ view }: Rooms): Promise<void> {
  await view.refresh();
}

function source({ sidecar, credentials, log }: Rooms, folder: vscode.WorkspaceFolder, summary: Promise<WorkspaceSummary>): Source {
  const setting = cloudSetting();
  return {
    known: summary.then(({ clouds, defaults }) => ({ clouds: setting === "auto" ? clouds : [setting], defaults })),
    proposed: `rg-${folder.name.replace(/[^\p{L}\p{N}_\-.()]+/gu, "-").replace(/\.+$/, "")}`.slice(0, 90),
    local: setting === "local" || (setting === "auto" && RUNS_HERE),
    async subscriptions(cloud) {
      try {
        const { subscriptions, problems, signedOut } = await sidecar.ask("slipway/subscriptions", { cloud });
        return { subscriptions, problems: problems.map(say), signedOut, signedIn: true };
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        const nobody = error instanceof Refusal && error.failure.code === "NotSignedIn";
        if (nobody) return { subscriptions: [], problems: [], signedOut: [], signedIn: false };
        log.warn(describe(error));
        if (error.detail !== undefined) log.warn(error.detail);
        return { subscriptions: [], problems: [say(error.what)], signedOut: [], signedIn: true };
      }
    },
    async resourceGroups({ cloud, id }) {
      return (await sidecar.ask("slipway/resourceGroups", { cloud, subscriptionId: id })).resourceGroups;
    },
    async locations({ cloud, id }) {
      return (await sidecar.ask("slipway/locations", { cloud, subscriptionId: id })).locations;
    },
    createResourceGroup: ({ cloud, id }, name, location) => waitedFor(vscode.l10n.t("New resource group"), sidecar.ask("slipway/createResourceGroup", { cloud, subscriptionId: id, name, location })),
    // Nobody signs in to this machine.
    signIn: (cloud, tenantId) => (cloud === "auto" || cloud === "local" ? Promise.resolve(false) : credentials.signIn(cloud, tenantId)),
  };
}

/** The model lies where fine-tuning ran: another place is possible, but has to be meant. */
async function agreesWithFineTuning({ subscription, resourceGroup }: Target, { subscriptionId, resourceGroup: group, origin }: WorkspaceDefaults): Promise<boolean> {
  if (origin === "choice") return true; // nothing of the project lies there
  const differs = (subscriptionId !== null && subscriptionId !== subscription.id) || (group !== null && !sameGroup(group, resourceGroup));
  if (!differs) return true;
  const go = vscode.l10n.t("Continue");
  const message = vscode.l10n.t("This project has used another place so far: resource group {group}.", { group: group ?? "?" });
  const detail = vscode.l10n.t("By default inference shares fine-tuning's subscription and resource group, where the model and the adapter lie. In {chosen} they have to be put on the file share first.", { chosen: resourceGroup });
  return (await vscode.window.showWarningMessage(message, { modal: true, detail }, go)) === go;
}

async function usableFolder(given: unknown): Promise<vscode.WorkspaceFolder | undefined> {
  if (localFolders().length === 0) {
    const open = vscode.l10n.t("Open Folder");
    const message = vscode.l10n.t("No folder is open. Open the folder that holds your fine-tuning project (with infra/ and inference/) first.");
    if ((await vscode.window.showErrorMessage(message, open)) === open) await vscode.commands.executeCommand("workbench.action.files.openFolder");
    return undefined;
  }
  if (!vscode.workspace.isTrusted) {
    const manage = vscode.l10n.t("Manage Workspace Trust");
    const message = vscode.l10n.t("This folder is not trusted, so Slipway starts nothing in it.");
    if ((await vscode.window.showErrorMessage(message, manage)) === manage) await vscode.commands.executeCommand("workbench.trust.manage");
    return undefined;
  }
  const known = localFolders().find((folder) => folder === given || folder.uri.fsPath === given);
  return known ?? pickFolder(vscode.l10n.t("Select the folder of the project"));
}
