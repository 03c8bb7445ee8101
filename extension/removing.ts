// Delete inference resources: what goes beside the app is chosen in a list, and the app's name written before anything goes.
import * as vscode from "vscode";
import { say } from "./messages";
import { asked, cloudSetting, did, operate, type Rooms } from "./operate";
import type { Removable, Removed } from "./protocol";

type Choice = vscode.QuickPickItem & { readonly each: Removable };

export async function remove(rooms: Rooms, folder: vscode.WorkspaceFolder): Promise<void> {
  const title = vscode.l10n.t("Delete inference resources");
  const place = { folder: folder.uri.fsPath, cloud: cloudSetting() };
  const list = (also: readonly string[]): Promise<Removed> =>
    asked(rooms, title, () => rooms.sidecar.ask("slipway/remove", { ...place, plan: true, name: "", also, operation: "" }));
  const { app, confirm, stays } = await list([]);
  const also = await chosen(title, stays, app === "");
  if (also === undefined || (app === "" && also.length === 0)) return;
  const planned = await list(also);
  const name = await confirmed(title, confirm, planned);
  if (name === undefined) return;
  const done = await operate(rooms, title, (operation, _consents, stop) =>
    rooms.sidecar.ask("slipway/remove", { ...place, plan: false, name, also, operation }, stop),
  );
  if (done === undefined) return;
  await did("remove");
  const gone = done.goes.map(({ kind, name: what }) => `${called(kind)} ${what}`).join(", ");
  await vscode.window.showInformationMessage(vscode.l10n.t("Deleted: {gone}. infra/inference.config.json no longer names the app.", { gone: gone || "–" }));
}

/** Nothing is ticked: whoever presses Enter deletes the app alone. What this project did not make is named with its name. */
async function chosen(title: string, stays: readonly Removable[], appGone: boolean): Promise<readonly string[] | undefined> {
  const items = stays.map((each): Choice => ({
    each,
    label: `${called(each.kind)} ${each.name}`,
    description: each.ours ? "" : vscode.l10n.t("not made by this project"),
    detail: each.users.length === 0 ? say(each.holds) : `${say(each.holds)}; ${vscode.l10n.t("used by {users}", { users: each.users.join(", ") })}`,
  }));
  const placeHolder = appGone ? vscode.l10n.t("The app is gone. Tick what else is to go; the rest stays.") : vscode.l10n.t("The app goes. Tick what is to go with it; the rest stays.");
  const ticked = await vscode.window.showQuickPick(items, { title, placeHolder, canPickMany: true, ignoreFocusOut: true });
  return ticked?.map(({ each: { kind, name, ours } }) => (ours ? kind : `${kind}:${name}`));
}

/** The app's name as the person writes it, or the group's where the app is gone; undefined when they leave. */
async function confirmed(title: string, confirm: string, { app, goes }: Removed): Promise<string | undefined> {
  const foreign = vscode.l10n.t("not made by this project");
  const gone = goes.map(({ kind, name, ours }) => `${called(kind)} ${name}${ours ? "" : ` (${foreign})`}`).join(", ") || confirm;
  const prompt =
    app === ""
      ? vscode.l10n.t("This can't be undone. Goes: {gone}. Write the resource group's name, {confirm}, to delete it.", { gone, confirm })
      : vscode.l10n.t("This can't be undone. Goes: {gone}. Write the app's name, {app}, to delete it.", { gone, app });
  const differs = app === "" ? vscode.l10n.t("The resource group is called {confirm}.", { confirm }) : vscode.l10n.t("The app is called {app}.", { app });
  return vscode.window.showInputBox({ title, prompt, ignoreFocusOut: true, validateInput: (value) => (value === confirm ? undefined : differs) });
}

/** What people call it; programs and the terminal by its kind. */
function called(kind: Removable["kind"]): string {
  const names: Readonly<Record<Removable["kind"], string>> = {
    app: vscode.l10n.t("app"),
    releases: vscode.l10n.t("releases"),
    mount: vscode.l10n.t("mount"),
    environment: vscode.l10n.t("environment"),
    logs: vscode.l10n.t("logs"),
    share: vscode.l10n.t("share"),
    account: vscode.l10n.t("account"),
  };
  return names[kind];
}
