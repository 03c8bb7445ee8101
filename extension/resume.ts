// What was cut off in another window, or with it: told once, with what can be done.
import * as vscode from "vscode";
import { localFolders } from "./folders";
import { moment, say } from "./messages";
import type { Rooms } from "./operate";
import type { Target } from "./picks";
import type { Interrupted, ProvisionTarget } from "./protocol";

/** Where a Provision was begun, as the command is given it; undefined for anything else, as a menu's own arguments. */
export function targetIn(given: unknown): Target | undefined {
  return given instanceof Begun ? given.target : undefined;
}

/** The same, as the sidecar knows it; null for anything else. */
export function begunIn(given: unknown): ProvisionTarget | null {
  return given instanceof Begun ? given.begun : null;
}

class Begun {
  readonly target: Target;

  constructor(readonly begun: ProvisionTarget) {
    const { cloud, subscriptionId, resourceGroup } = begun;
    this.target = { subscription: { id: subscriptionId, name: subscriptionId, tenantId: "", cloud }, resourceGroup };
  }
}

/** Commands that are not called as what they do is. */
const COMMANDS: Partial<Record<Interrupted["kind"], string>> = { delete: "remove", rotate: "rotateKey" };

/** Tells each interruption once in this window, however often it is asked. */
export class Resume {
  private readonly told = new Set<string>();

  constructor(private readonly rooms: Pick<Rooms, "sidecar" | "log">) {}

  /** Asks the sidecar for every open folder; what somebody else is still at is nobody's business. */
  async offer(): Promise<void> {
    if (!vscode.workspace.isTrusted) return;
    for (const folder of localFolders()) {
      const { interrupted } = await this.rooms.sidecar.ask("slipway/interrupted", { folder: folder.uri.fsPath });
      for (const each of interrupted.filter(({ running }) => !running)) {
        const key = [folder.uri.fsPath, each.kind, each.at, each.target?.resourceGroup].join(" ");
        if (this.told.has(key)) continue;
        this.told.add(key);
        this.tell(folder, each).catch((error: unknown) => { this.rooms.log.error(String(error)); });
      }
    }
  }

  private async tell(folder: vscode.WorkspaceFolder, { kind, at, sentence, resume, target, cancels }: Interrupted): Promise<void> {
    const { sidecar, log } = this.rooms;
    const facts = { folder: folder.name, at: moment(at), left: say(sentence) };
    const messages = {
      deploy: vscode.l10n.t("A deployment of {folder} was cut off at {at}. {left}", facts),
      rollback: vscode.l10n.t("A roll back of {folder} was cut off at {at}. {left}", facts),
      provision: vscode.l10n.t("Provisioning for {folder} was cut off at {at}. {left}", facts),
      delete: vscode.l10n.t("A deletion of {folder}'s inference resources was cut off at {at}. {left}", facts),
      rotate: vscode.l10n.t("A change of {folder}'s API key was cut off at {at}. {left}", facts),
      start: vscode.l10n.t("A start of {folder}'s app was cut off at {at}. {left}", facts),
      stop: vscode.l10n.t("A stop of {folder}'s app was cut off at {at}. {left}", facts),
    };
    const message = messages[kind];
    log.warn(message);
    const go = vscode.l10n.t("Go on");
    const cancel = vscode.l10n.t("Cancel it");
    const discard = vscode.l10n.t("Discard");
    const chosen = await vscode.window.showWarningMessage(message, ...(resume === null ? [] : [go]), ...(cancels ? [cancel] : []), discard);
    const begun = target === null ? undefined : new Begun(target);
    if (chosen === go) await vscode.commands.executeCommand(`slipway.${COMMANDS[kind] ?? kind}`, folder, begun);
    if (chosen === cancel) await vscode.commands.executeCommand("slipway.cancelProvisioning", folder, begun);
    if (chosen === discard) await sidecar.ask("slipway/discard", { folder: folder.uri.fsPath, kind, target });
  }
}
