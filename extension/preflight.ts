// Check inference set-up: what would keep Provision from working, before anything is made. The table goes to the log, what
// stands in a parameters file to the Problems panel.
import * as vscode from "vscode";
import { installWay, OUTSIDE } from "./bicep";
import { follow, offerLog, say, type Way } from "./messages";
import { parametersSetting, withApp, type Rooms } from "./operate";
import type { Target } from "./picks";
import type { CheckLine, Fitting, Verdict } from "./protocol";

export async function preflight(rooms: Rooms, folder: vscode.WorkspaceFolder, { subscription, resourceGroup }: Target): Promise<void> {
  const title = vscode.l10n.t("Check inference set-up");
  rooms.problems.clear(folder);
  const found = await withApp(title, (app) =>
    rooms.credentials.attended(() =>
      follow(title, rooms.sidecar, (operation, _consents, stop) =>
        rooms.sidecar.ask(
          "slipway/preflight",
          { folder: folder.uri.fsPath, cloud: subscription.cloud, subscriptionId: subscription.id, resourceGroup, parameters: parametersSetting(folder), app, operation },
          stop,
        ),
      ),
    ),
  );
  if (found === undefined) return;
  rooms.problems.show(folder, found.problems);
  for (const each of found.checks) write(rooms.log, each);
  if (found.fitting !== null) for (const each of fitting(found.fitting)) rooms.log.info(each);
  await tell(rooms.log, found.checks, found.problems.length > 0, found.checks.some(({ code }) => code === OUTSIDE) ? [installWay(folder)] : []);
}

function write(log: vscode.LogOutputChannel, { name, verdict, sentence, remedy, parameter, at }: CheckLine): void {
  const told = [parameter, at].filter((each) => each !== null).join(", ");
  const place = told === "" ? "" : ` [${told}]`;
  const line = `${verdict} ${name}: ${say(sentence)}${place}${remedy === null ? "" : ` ${say(remedy)}`}`;
  const levels: Readonly<Record<Verdict, () => void>> = {
    PASS: () => { log.info(line); },
    WARN: () => { log.warn(line); },
    UNVERIFIED: () => { log.warn(line); },
    FAIL: () => { log.error(line); },
  };
  levels[verdict]();
}

/** What would fit: a line for each profile of a region, and how they were found. */
function fitting({ fits, why }: Fitting): readonly string[] {
  const unknown = vscode.l10n.t("unknown");
  const known = (value: number | null, unit = ""): string => (value === null ? unknown : `${String(value)}${unit}`);
  const lines = fits.map(({ region, profile, needed, used, limit, hour, currency, memory, fits: fit }) => {
    const facts = { region, profile, needed: String(needed), used: known(used), limit: known(limit), price: known(hour, ` ${currency}`), memory: memory === null ? unknown : `${String(Math.round(memory / 1e9))} GB` };
    const line = vscode.l10n.t("{region}, {profile}: GPUs needed {needed}, in use {used}, allowed {limit}; list price an hour {price}; GPU memory {memory}", facts);
    return `${line}; ${fit === null ? vscode.l10n.t("whether this model fits is unknown") : fit ? vscode.l10n.t("this model fits") : vscode.l10n.t("this model is too large")}`;
  });
  return [vscode.l10n.t("What would fit:"), ...lines, say(why)];
}

async function tell(log: vscode.LogOutputChannel, checks: readonly CheckLine[], inFiles: boolean, more: readonly Way[]): Promise<void> {
  const of = (verdict: Verdict): readonly CheckLine[] => checks.filter((each) => each.verdict === verdict);
  const [failed, doubtful, unread] = [of("FAIL"), of("WARN"), of("UNVERIFIED")];
  const problems: Way = { title: vscode.l10n.t("Show problems"), go: async () => { await vscode.commands.executeCommand("workbench.actions.view.problems"); } };
  const ways = [...(inFiles ? [problems] : []), ...more];
  const [first] = failed;
  const facts = { failed: String(failed.length), doubtful: String(doubtful.length), unread: String(unread.length) };
  if (first !== undefined) {
    const message = vscode.l10n.t("Provision would stop before it makes anything. Checks that fail: {failed}. {first}", { ...facts, first: say(first.sentence) });
    await offerLog(vscode.window.showErrorMessage, message, log, ways);
  } else if (doubtful.length + unread.length > 0) {
    await offerLog(vscode.window.showWarningMessage, vscode.l10n.t("Provision can work. Checks that warn: {doubtful}; that could not be verified: {unread}.", facts), log, ways);
  } else await offerLog(vscode.window.showInformationMessage, vscode.l10n.t("Provision can work: every check passes."), log);
}
