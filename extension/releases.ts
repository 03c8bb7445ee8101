// Releases: deploying one, looking at what that would do, and going back to an earlier one.
import * as vscode from "vscode";
import { openChat, openEndpoint } from "./endpoint";
import { moment, say, sentences, waitedFor, withLog } from "./messages";
import { asked, cloudSetting, codeSetting, did, operate, rolloutSetting, stopSetting, type Rooms } from "./operate";
import { summaryWithFiles } from "./updating";
import type { CloudName, Deployed, Difference, Generation, Preview, RunsOn, WorkspaceSummary } from "./protocol";

export async function deploy(rooms: Rooms, folder: vscode.WorkspaceFolder): Promise<void> {
  const code = codeSetting(folder);
  // The shipped server needs no folder of its own in the project.
  const ask = (): Promise<WorkspaceSummary> => rooms.sidecar.ask("slipway/workspace", { folder: folder.uri.fsPath });
  const title = vscode.l10n.t("Deploy for inference");
  const summary = code === "workspace" ? await summaryWithFiles(rooms, folder, "hasCode", title) : await waitedFor(title, ask());
  if (summary === undefined) return;
  if (!summary.provisioned) {
    const provisionNow = vscode.l10n.t("Provision Azure Container Apps for inference");
    const message = vscode.l10n.t("Nothing is provisioned for this folder yet: infra/inference.config.json names no container app.");
    if ((await vscode.window.showErrorMessage(message, provisionNow)) === provisionNow) await vscode.commands.executeCommand("slipway.provision", folder);
    return;
  }
  const deployed = await released(rooms, folder, code, cloudSetting());
  if (deployed !== undefined) await tellOutcome(rooms, folder, deployed);
}

/** Deploys what is provisioned; what was found in the code stands in the Problems panel. */
export async function released(rooms: Rooms, folder: vscode.WorkspaceFolder, code: string, cloud: CloudName): Promise<Deployed | undefined> {
  rooms.problems.clear(folder);
  const deployed = await operate(rooms, vscode.l10n.t("Deploy for inference"), (operation, consents, stop) =>
    rooms.sidecar.ask("slipway/deploy", { folder: folder.uri.fsPath, cloud, code, stopUnanswered: stopSetting(folder), strategy: rolloutSetting(folder), consents, operation }, stop),
  );
  if (deployed === undefined) return undefined;
  rooms.problems.show(folder, deployed.problems);
  await did("deploy");
  return deployed;
}

/** Success is said where everything on the share answers; what the server refused is said with its reason. */
export async function tellOutcome(rooms: Rooms, folder: vscode.WorkspaceFolder, { url, verified, base, adapters, refused, notes, runsOn }: Deployed): Promise<void> {
  const go = vscode.l10n.t("Go to Inference Endpoint");
  const chat = vscode.l10n.t("Chat");
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
    chosen = await vscode.window.showErrorMessage(withLog(whole(message)), go, chat);
  } else if (!verified) {
    const message = vscode.l10n.t("Deployed to {url}. The server has no health check of ours, so it is not verified that the model answers.", { url });
    chosen = await vscode.window.showWarningMessage(whole(message), go, chat);
  } else {
    const answering = adapters.length > 0 ? adapters.join(", ") : base;
    const message =
      answering === null
        ? vscode.l10n.t("Deployed: the model answers at {url}", { url })
        : vscode.l10n.t("Deployed: the model answers at {url} ({models})", { url, models: answering });
    const told = runsOn === null ? message : sentences(message, vscode.l10n.t("It runs on {what}", { what: summed(runsOn) }));
    chosen = notes.length > 0 ? await vscode.window.showWarningMessage(withLog(whole(`${told}.`)), go, chat) : await vscode.window.showInformationMessage(told, go, chat);
  }
  if (chosen === go) await openEndpoint(rooms, folder);
  if (chosen === chat) await openChat(rooms, folder);
}

/** `NVIDIA A100, bfloat16`; `cpu, float32, nf4`. What computes attention stands in the log and the view. */
function summed({ device, gpu, dtype, weights }: RunsOn): string {
  return [gpu ?? device, dtype, ...(weights === "full" || weights === "" ? [] : [weights])].join(", ");
}

/** Says what a Deploy would do, in a dialog from which it can be begun. */
export async function preview(rooms: Rooms, folder: vscode.WorkspaceFolder): Promise<void> {
  const code = codeSetting(folder);
  const found = await asked(rooms, vscode.l10n.t("Preview deployment"), () => rooms.sidecar.ask("slipway/preview", { folder: folder.uri.fsPath, cloud: cloudSetting(), code, strategy: rolloutSetting(folder) }));
  rooms.problems.clear(folder);
  rooms.problems.show(folder, found.problems);
  const go = vscode.l10n.t("Deploy for inference");
  const same = found.release !== "" && found.release === found.current;
  const message = same ? vscode.l10n.t("The code has not changed: a deploy reloads the model.") : vscode.l10n.t("A deploy would do this:");
  if ((await vscode.window.showInformationMessage(message, { modal: true, detail: previewed(found).join("\n") }, go)) === go) await deploy(rooms, folder);
}

function previewed({ difference, files, size, uploads, sentence, bases, adapters, leftOut, problems, notes }: Preview): string[] {
  const named = (paths: readonly string[]): string => (paths.length > MOST_NAMES ? `${paths.slice(0, MOST_NAMES).join(", ")} …` : paths.join(", "));
  const lines = difference === null ? [] : changes(difference).map(([text, paths]) => `${text}: ${named(paths)}`);
  if (uploads) lines.push(vscode.l10n.t("Uploaded: {files} files, {size} KiB", { files: String(files), size: String(Math.ceil(size / 1024)) }));
  lines.push(say(sentence));
  lines.push(vscode.l10n.t("On the share: base model {bases}; adapters {adapters}", { bases: named(bases) || "–", adapters: named(adapters) || "–" }));
  if (leftOut.length > 0) lines.push(vscode.l10n.t("Left out: {paths}", { paths: named(leftOut.map(({ path }) => path)) }));
  if (problems.length > 0) lines.push(vscode.l10n.t("Problems in the code: {count} (see the Problems panel)", { count: String(problems.length) }));
  return [...lines, ...notes.map(say)];
}

const MOST_NAMES = 8;

function changes({ added, changed, removed }: Difference): readonly (readonly [string, readonly string[]])[] {
  const kinds = [
    [vscode.l10n.t("Added"), added],
    [vscode.l10n.t("Changed"), changed],
    [vscode.l10n.t("Removed"), removed],
  ] as const;
  return kinds.filter(([, paths]) => paths.length > 0);
}

/** Lets the person choose one of the releases that are kept, and makes it current again. */
export async function rollBack(rooms: Rooms, folder: vscode.WorkspaceFolder): Promise<void> {
  const title = vscode.l10n.t("Roll back inference deployment");
  const { generations } = await asked(rooms, title, () => rooms.sidecar.ask("slipway/releases", { folder: folder.uri.fsPath, cloud: cloudSetting() }));
  const now = generations.find(({ current }) => current)?.release;
  const latest = new Map([...generations].reverse().map((each) => [each.release, each]));
  const items = [...latest.values()].filter(({ release, kept }) => kept && release !== now).sort((one, other) => other.number - one.number).map(item);
  if (items.length === 0) {
    await vscode.window.showInformationMessage(vscode.l10n.t("There is no earlier release to go back to."));
    return;
  }
  const chosen = await vscode.window.showQuickPick(items, { title, placeHolder: vscode.l10n.t("Select the release to make current again"), matchOnDescription: true, matchOnDetail: true });
  if (chosen === undefined) return;
  const deployed = await operate(rooms, title, (operation, consents, stop) =>
    rooms.sidecar.ask("slipway/rollback", { folder: folder.uri.fsPath, cloud: cloudSetting(), generation: chosen.number, stopUnanswered: stopSetting(folder), strategy: rolloutSetting(folder), consents, operation }, stop),
  );
  if (deployed !== undefined) await tellOutcome(rooms, folder, deployed);
}

function item({ number, release, at, by, commit, served, difference }: Generation): vscode.QuickPickItem & { readonly number: number } {
  const when = at === "" ? vscode.l10n.t("at an unknown time") : moment(at);
  const changed = difference === null ? [] : changes(difference).map(([text, paths]) => `${text}: ${String(paths.length)}`);
  const same = difference !== null && changed.length === 0 ? [vscode.l10n.t("the code that is current")] : changed;
  const parts = [commit === "" ? "" : vscode.l10n.t("commit {commit}", { commit: commit.slice(0, 8) + (commit.endsWith("+") ? "+" : "") }), ...same, served ? "" : vscode.l10n.t("never seen to answer")];
  return { number, label: `${String(number)}: ${when}`, description: `${release.slice(0, 12)}  ${by}`, detail: parts.filter((part) => part !== "").join(" · ") };
}
