// Provision: its plan is opened and agreed to first, and what is done is bound to that plan.
import * as vscode from "vscode";
import { Refusal } from "./client";
import { follow, say } from "./messages";
import { operate, parametersSetting, withApp, type Rooms } from "./operate";
import type { Target } from "./picks";
import type { Plan, Provisioned } from "./protocol";

/** `given`: consents that a person has given already. Undefined where nothing was to be done, or the person wants nothing done. */
export function provisionByPlan(rooms: Rooms, folder: vscode.WorkspaceFolder, title: string, target: Target, given: readonly string[] = []): Promise<Provisioned | undefined> {
  return withApp(title, (app) => byPlanOf(app, rooms, folder, title, target, given));
}

async function byPlanOf(app: string | null, rooms: Rooms, folder: vscode.WorkspaceFolder, title: string, target: Target, given: readonly string[]): Promise<Provisioned | undefined> {
  for (;;) {
    rooms.problems.clear(folder);
    const plan = await planned(app, rooms, folder, title, target);
    if (plan === undefined) return undefined;
    if (plan !== UNDER_WAY) rooms.problems.show(folder, plan.problems);
    if (plan !== UNDER_WAY && !(await agreed(rooms, folder, plan))) return undefined;
    try {
      return await carriedOut(app, rooms, folder, title, target, plan === UNDER_WAY ? null : plan.digest, given);
    } catch (error) {
      if (refusedAs(error, "PlanChanged")) {
        void vscode.window.showWarningMessage(vscode.l10n.t("Something has changed since this plan was made, so nothing was done. Here is the new plan."));
      } else if (!refusedAs(error, "DeploymentEnded") && !refusedAs(error, "DeploymentUnderWay")) throw error;
      // What was under way has ended meanwhile, or somebody else's is: planned again, or followed.
    }
  }
}

/** A deployment of this project runs already: it is followed, and nothing else is begun without a plan. */
const UNDER_WAY = Symbol("under way");

async function planned(app: string | null, rooms: Rooms, folder: vscode.WorkspaceFolder, title: string, { subscription, resourceGroup }: Target): Promise<Plan | typeof UNDER_WAY | undefined> {
  try {
    return await rooms.credentials.attended(() =>
      follow(title, rooms.sidecar, (operation, _consents, stop) =>
        rooms.sidecar.ask(
          "slipway/plan",
          { folder: folder.uri.fsPath, cloud: subscription.cloud, subscriptionId: subscription.id, resourceGroup, parameters: parametersSetting(folder), app, raw: false, operation },
          stop,
        ),
      ),
    );
  } catch (error) {
    if (refusedAs(error, "DeploymentUnderWay")) return UNDER_WAY;
    throw error;
  }
}

/** A notification, not a dialog: the page must stay readable while the person thinks about it. */
async function agreed(rooms: Rooms, folder: vscode.WorkspaceFolder, plan: Plan): Promise<boolean> {
  await rooms.plans.open(folder, say(plan.markdown));
  const summary = say(plan.summary);
  rooms.log.info(summary);
  if (plan.nothing) {
    const deployNow = vscode.l10n.t("Deploy for inference");
    if ((await vscode.window.showInformationMessage(summary, deployNow)) === deployNow) await vscode.commands.executeCommand("slipway.deploy", folder);
    return false;
  }
  const apply = vscode.l10n.t("Apply plan");
  const message = vscode.l10n.t("{summary} The plan is open: nothing has been changed yet.", { summary });
  return (await vscode.window.showInformationMessage(message, apply, vscode.l10n.t("Not now"))) === apply;
}

function carriedOut(app: string | null, rooms: Rooms, folder: vscode.WorkspaceFolder, title: string, { subscription, resourceGroup }: Target, digest: string | null, given: readonly string[]): Promise<Provisioned | undefined> {
  return operate(rooms, title, (operation, consents, stop) =>
    rooms.sidecar.ask(
      "slipway/provision",
      { folder: folder.uri.fsPath, cloud: subscription.cloud, subscriptionId: subscription.id, resourceGroup, parameters: parametersSetting(folder), app, consents: [...given, ...consents], digest, begins: digest !== null, operation },
      stop,
    ),
  );
}

function refusedAs(error: unknown, code: string): boolean {
  return error instanceof Refusal && error.failure.code === code;
}
