// Keep warm while this window is open: a toggle, off by default, seen in the status bar for as long as it is on.
import * as vscode from "vscode";
import type { Sidecar } from "./client";
import { say } from "./messages";
import type { CloudName, Warmed } from "./protocol";

/** One app at a time. The requests are the sidecar's, which ends with the window, and so do they. */
export class Warmth implements vscode.Disposable {
  private readonly item = vscode.window.createStatusBarItem("slipway.warm", vscode.StatusBarAlignment.Left, -1);
  private ending: vscode.CancellationTokenSource | undefined;

  constructor(private readonly sidecar: Sidecar) {
    this.item.name = vscode.l10n.t("Slipway: keep warm");
    this.item.command = "slipway.keepWarm";
    this.item.text = `$(flame) ${vscode.l10n.t("kept warm")}`;
    this.item.backgroundColor = new vscode.ThemeColor("statusBarItem.warningBackground");
  }

  dispose(): void {
    this.end();
    this.item.dispose();
  }

  get on(): boolean {
    return this.ending !== undefined;
  }

  /** Off when it is on, on when it is off. An app that sleeps is woken only by who says so. */
  async toggle(folder: vscode.WorkspaceFolder): Promise<void> {
    if (this.ending !== undefined) {
      this.end();
      return;
    }
    let done = await this.warm(folder, false);
    if (done.ended === "asleep") {
      const wake = vscode.l10n.t("Wake it");
      if ((await vscode.window.showInformationMessage(say(done.sentence), wake)) !== wake) return;
      done = await this.warm(folder, true);
    }
    await vscode.window.showInformationMessage(say(done.sentence));
  }

  private async warm(folder: vscode.WorkspaceFolder, wake: boolean): Promise<Warmed> {
    const operation = crypto.randomUUID();
    const ending = (this.ending = new vscode.CancellationTokenSource());
    const cloud = vscode.workspace.getConfiguration("slipway").get<CloudName>("cloud", "auto");
    const listening = this.sidecar.on("slipway/progress", (event) => {
      if (event.operation !== operation) return;
      this.item.tooltip = say(event.text);
      this.item.accessibilityInformation = { label: `Slipway: ${say(event.text)}` };
      this.item.show();
    });
    try {
      return await this.sidecar.ask("slipway/keepWarm", { folder: folder.uri.fsPath, cloud, wake, operation }, ending.token);
    } finally {
      listening.dispose();
      this.item.hide();
      this.ending = undefined;
      ending.dispose();
    }
  }

  private end(): void {
    this.ending?.cancel();
  }
}
