// The palette: one table of commands. Each asks the person, asks the sidecar, and offers what comes next.
import * as vscode from "vscode";
import { Refusal, type Sidecar } from "./client";
import { sameGroup } from "./config";
import type { Credentials } from "./credentials";
import { localFolders, pickFolder } from "./folders";
import { describe, follow, say, showFailure, type Ask } from "./messages";
import { pickTarget, type Defaults, type Source, type Target } from "./picks";
import type { CloudName, Deployed, Provisioned, WorkspaceSummary } from "./protocol";
import { Problem } from "./sentences";
import type { EndpointView } from "./view";

/** What the commands work with. */
export interface Rooms {
  readonly sidecar: Sidecar;
  readonly credentials: Credentials;
  readonly view: EndpointView;
  readonly log: vscode.LogOutputChannel;
}

type Command = (rooms: Rooms, folder: vscode.WorkspaceFolder) => Promise<void>;

/** Commands that work on one folder, which must be trusted and open. */
const FOLDER_COMMANDS: Readonly<Record<string, Command>> = {
  "slipway.provision": provision,
  "slipway.deploy": deploy,
  "slipway.openEndpoint": openEndpoint,
  "slipway.showApiKey": showApiKey,
  "slipway.init": init,
  "slipway.refresh": refresh,
};

export function registerCommands(rooms: Rooms): readonly vscode.Disposable[] {
  const folderCommands = Object.entries(FOLDER_COMMANDS).map(([id, command]) =>
    vscode.commands.registerCommand(id, async (folder?: unknown) => {
      try {
        const chosen = await usableFolder(folder);
        if (chosen === undefined) return;
        rooms.view.follow(chosen);
        await command(rooms, chosen);
      } catch (error) {
        await showFailure(error, rooms.log);
      }
    }),
  );
  return [...folderCommands, vscode.commands.registerCommand("slipway.showLog", () => { rooms.log.show(); })];
}

async function provision(rooms: Rooms, folder: vscode.WorkspaceFolder): Promise<void> {
  const title = vscode.l10n.t("Provision Azure Container Apps for inference");
  const summary = await summaryWithFiles(rooms, folder, "hasTemplate");
  if (summary === undefined) return;
  const target = await pickTarget(title, source(rooms, summary.clouds), summary.defaults);
  if (target === undefined || !(await agreesWithFineTuning(target, summary.defaults))) return;
  const { subscription, resourceGroup } = target;
  const provisioned = await operate(rooms, title, (operation, consents, stop) =>
      rooms.sidecar.ask(
        "slipway/provision",
        { folder: folder.uri.fsPath, cloud: subscription.cloud, subscriptionId: subscription.id, resourceGroup, consents, operation },
        stop,
      ),
  );
  if (provisioned === undefined) return;
  await offerDeploy(folder, provisioned);
}

async function offerDeploy(folder: vscode.WorkspaceFolder, { portalUrl }: Provisioned): Promise<void> {
  const deployNow = vscode.l10n.t("Deploy for inference");
  const portal = vscode.l10n.t("Open in the Azure portal");
  const message = vscode.l10n.t("Provisioned. The endpoint waits for your inference code and model: deploy for inference next.");
  const chosen = await vscode.window.showInformationMessage(message, deployNow, ...(portalUrl === null ? [] : [portal]));
  if (chosen === deployNow) await vscode.commands.executeCommand("slipway.deploy", folder);
  if (chosen === portal && portalUrl !== null) await vscode.env.openExternal(vscode.Uri.parse(portalUrl));
}

async function deploy(rooms: Rooms, folder: vscode.WorkspaceFolder): Promise<void> {
  const title = vscode.l10n.t("Deploy for inference");
  const summary = await summaryWithFiles(rooms, folder, "hasCode");
  if (summary === undefined) return;
  if (!summary.provisioned) {
    const provisionNow = vscode.l10n.t("Provision Azure Container Apps for inference");
    const message = vscode.l10n.t("Nothing is provisioned for this folder yet: infra/inference.config.json names no container app.");
    if ((await vscode.window.showErrorMessage(message, provisionNow)) === provisionNow) await vscode.commands.executeCommand("slipway.provision", folder);
    return;
  }
  const deployed = await operate(rooms, title, (operation, consents, stop) =>
    rooms.sidecar.ask("slipway/deploy", { folder: folder.uri.fsPath, cloud: cloudSetting(), consents, operation }, stop),
  );
  if (deployed === undefined) return;
  await tellOutcome(rooms, folder, deployed);
}

/** Success is said where everything on the share answers; what the server refused is said with its reason. */
async function tellOutcome(rooms: Rooms, folder: vscode.WorkspaceFolder, { url, verified, base, adapters, refused, notes }: Deployed): Promise<void> {
  const go = vscode.l10n.t("Go to Inference Endpoint");
  const showLog = vscode.l10n.t("Show log");
  const [first] = refused;
  // What else is to be known stands after the first sentence, whichever that is.
  const whole = (message: string): string => [message, ...notes.map(say)].join("\n");
  let chosen: string | undefined;
  if (first !== undefined) {
    const facts = { url, name: first.name, reason: first.reason, more: String(refused.length - 1) };
    const message =
      refused.length === 1
        ? vscode.l10n.t("Deployed to {url}, but the server refuses the adapter {name}: {reason}.", facts)
        : vscode.l10n.t("Deployed to {url}, but the server refuses the adapter {name}: {reason}. ({more} more are refused; the log names them.)", facts);
    chosen = await vscode.window.showErrorMessage(whole(message), go, showLog);
  } else if (!verified) {
    const message = vscode.l10n.t("Deployed to {url}. The server has no health check of ours, so it is not verified that the model answers.", { url });
    chosen = await vscode.window.showWarningMessage(whole(message), go);
  } else {
    const answering = adapters.length > 0 ? adapters.join(", ") : base;
    const message =
      answering === null
        ? vscode.l10n.t("Deployed: the model answers at {url}", { url })
        : vscode.l10n.t("Deployed: the model answers at {url} ({models})", { url, models: answering });
    chosen = notes.length > 0 ? await vscode.window.showWarningMessage(whole(`${message}.`), go, showLog) : await vscode.window.showInformationMessage(message, go);
  }
  if (chosen === go) await openEndpoint(rooms, folder);
  if (chosen === showLog) rooms.log.show();
}

/** The one-time link logs the browser in; without one (no replica awake, no key) the plain page asks for the key. What opens is
 * the app's own address: another one that the workspace names could ask for the key in its place. */
async function openEndpoint(rooms: Rooms, folder: vscode.WorkspaceFolder): Promise<void> {
  const { url, loginUrl, note } = await rooms.credentials.attended(() => rooms.sidecar.ask("slipway/endpoint", { folder: folder.uri.fsPath, cloud: cloudSetting() }));
  if (note !== null) {
    rooms.log.warn(say(note));
    void vscode.window.showWarningMessage(say(note));
  }
  await vscode.env.openExternal(vscode.Uri.parse(loginUrl ?? url, true));
}

async function showApiKey(rooms: Rooms, folder: vscode.WorkspaceFolder): Promise<void> {
  const { apiKey } = await rooms.credentials.attended(() => rooms.sidecar.ask("slipway/apiKey", { folder: folder.uri.fsPath, cloud: cloudSetting() }));
  const copy = vscode.l10n.t("Copy");
  const title = vscode.l10n.t("API key of the inference endpoint");
  if ((await vscode.window.showInformationMessage(title, { modal: true, detail: apiKey }, copy)) === copy) await vscode.env.clipboard.writeText(apiKey);
}

async function init(rooms: Rooms, folder: vscode.WorkspaceFolder): Promise<void> {
  const { created } = await rooms.sidecar.ask("slipway/init", { folder: folder.uri.fsPath });
  for (const file of created) rooms.log.info(file);
  const message =
    created.length === 0
      ? vscode.l10n.t("All project files are already there; none was changed.")
      : vscode.l10n.t("{count} project files were created in {folder}.", { count: String(created.length), folder: folder.name });
  await vscode.window.showInformationMessage(message);
}

async function refresh({ view }: Rooms): Promise<void> {
  await view.refresh();
}

/** A long request with its person at hand; whatever comes of it, the view shows the state after it. */
async function operate<T>({ credentials, sidecar, view }: Rooms, title: string, ask: Ask<T>): Promise<T | undefined> {
  try {
    return await credentials.attended(() => follow(title, sidecar, ask));
  } finally {
    void view.look();
  }
}

/** The folder's summary, after offering the project files that are missing; undefined when the person declines. */
async function summaryWithFiles(rooms: Rooms, folder: vscode.WorkspaceFolder, needed: "hasTemplate" | "hasCode"): Promise<WorkspaceSummary | undefined> {
  const ask = (): Promise<WorkspaceSummary> => rooms.sidecar.ask("slipway/workspace", { folder: folder.uri.fsPath });
  const summary = await ask();
  for (const problem of summary.problems) rooms.log.warn(say(problem));
  if (summary[needed]) return summary;
  const create = vscode.l10n.t("Create project files");
  const message =
    needed === "hasTemplate"
      ? vscode.l10n.t("The folder {folder} has no infra/provision/inference.bicep.", { folder: folder.name })
      : vscode.l10n.t("The folder {folder} has no inference code to deploy (inference/).", { folder: folder.name });
  const detail = vscode.l10n.t("Slipway can put its own infra/ and inference/ there. Files that exist stay as they are.");
  if ((await vscode.window.showInformationMessage(message, { modal: true, detail }, create)) !== create) return undefined;
  await rooms.sidecar.ask("slipway/init", { folder: folder.uri.fsPath });
  return ask();
}

function source({ sidecar, credentials, log }: Rooms, auto: readonly CloudName[]): Source {
  const setting = cloudSetting();
  return {
    clouds: setting === "auto" ? auto : [setting],
    async subscriptions(cloud) {
      try {
        const { subscriptions, problems } = await sidecar.ask("slipway/subscriptions", { cloud });
        return { subscriptions, problems: problems.map(say), signedIn: true };
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        const signedOut = error instanceof Refusal && error.failure.code === "NotSignedIn";
        if (signedOut) return { subscriptions: [], problems: [], signedIn: false };
        log.warn(describe(error));
        if (error.detail !== undefined) log.warn(error.detail);
        return { subscriptions: [], problems: [say(error.what)], signedIn: true };
      }
    },
    async resourceGroups({ cloud, id }) {
      return (await sidecar.ask("slipway/resourceGroups", { cloud, subscriptionId: id })).resourceGroups;
    },
    async locations({ cloud, id }) {
      return (await sidecar.ask("slipway/locations", { cloud, subscriptionId: id })).locations;
    },
    createResourceGroup: ({ cloud, id }, name, location) => sidecar.ask("slipway/createResourceGroup", { cloud, subscriptionId: id, name, location }),
    // Nobody signs in to this machine.
    signIn: (cloud) => (cloud === "auto" || cloud === "local" ? Promise.resolve(false) : credentials.signIn(cloud)),
  };
}

/** The model lies where fine-tuning ran: another place is possible, but has to be meant. */
async function agreesWithFineTuning({ subscription, resourceGroup }: Target, { subscriptionId, resourceGroup: group }: Defaults): Promise<boolean> {
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
  const known = localFolders().find((folder) => folder === given);
  return known ?? pickFolder(vscode.l10n.t("Select the folder of the project"));
}

function cloudSetting(): CloudName {
  return vscode.workspace.getConfiguration("slipway").get<CloudName>("cloud", "auto");
}
