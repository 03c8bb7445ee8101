// The endpoint's logs in output channels of their own: followed across restarts, replicas and sleep, until the person stops it.
import * as vscode from "vscode";
import { Cancelled, type Sidecar } from "./client";
import type { Credentials } from "./credentials";
import { describe, say } from "./messages";
import type { CloudName, LogLine, LogSource } from "./protocol";

const NAMES: Readonly<Record<LogSource, string>> = { console: "Slipway: console", system: "Slipway: system" };

/** For the first look, and a sign-in with it; following itself goes on for hours, and asks nobody. */
const LOOK_MS = 60_000;

/** What is followed now, in its channel. */
interface Following {
  readonly folder: string;
  readonly stop: vscode.CancellationTokenSource;
}

/** Two channels, made when they are first asked for; each follows one folder's endpoint. */
export class Logs implements vscode.Disposable {
  private readonly channels = new Map<LogSource, vscode.OutputChannel>();
  private readonly following = new Map<LogSource, Following>();
  private readonly item = vscode.window.createStatusBarItem("slipway.logs", vscode.StatusBarAlignment.Left, 0);

  constructor(
    private readonly sidecar: Sidecar,
    private readonly credentials: Credentials,
  ) {
    this.item.name = vscode.l10n.t("Slipway: logs");
    this.item.text = `$(eye) ${vscode.l10n.t("Following logs")}`;
    this.item.tooltip = vscode.l10n.t("Stop following logs");
    this.item.command = "slipway.stopLogs";
  }

  dispose(): void {
    this.stop();
    for (const each of [this.item, ...this.channels.values()]) each.dispose();
  }

  /** Shows the channel, which follows this folder's endpoint from now on. Nothing is sent to the endpoint: one that sleeps still does. */
  show(folder: vscode.WorkspaceFolder, source: LogSource): void {
    const channel = this.channel(source);
    channel.show(true);
    const before = this.following.get(source);
    if (before?.folder === folder.uri.fsPath) return;
    before?.stop.cancel();
    channel.clear();
    const now = { folder: folder.uri.fsPath, stop: new vscode.CancellationTokenSource() };
    this.following.set(source, now);
    this.item.show();
    void this.follow(channel, source, now);
  }

  /** Ends both; what the channels hold stays. */
  stop(): void {
    for (const { stop } of this.following.values()) stop.cancel();
  }

  private async follow(channel: vscode.OutputChannel, source: LogSource, now: Following): Promise<void> {
    const operation = crypto.randomUUID();
    let begin = (): void => undefined;
    const begun = new Promise<void>((resolve) => { begin = resolve; });
    const timer = setTimeout(() => { begin(); }, LOOK_MS);
    const tell = (line: string): void => {
      begin();
      channel.appendLine(line);
    };
    const listening = [
      this.sidecar.on("slipway/logLine", (line) => {
        if (line.operation === operation) tell(shown(line));
      }),
      // What is to be known beside the lines: that nothing runs, that a stream can't be read.
      this.sidecar.on("slipway/progress", (event) => {
        if (event.operation === operation) tell(`— ${say(event.text)}`);
      }),
    ];
    try {
      const cloud = vscode.workspace.getConfiguration("slipway").get<CloudName>("cloud", "auto");
      const asked = { folder: now.folder, cloud, operation, source, follow: true, since: "", replica: "", previous: false };
      await this.credentials.attendedUntil(begun, () => this.sidecar.ask("slipway/logs", asked, now.stop.token));
      channel.appendLine(`— ${vscode.l10n.t("Not followed any more.")}`);
    } catch (error) {
      channel.appendLine(`— ${error instanceof Cancelled ? vscode.l10n.t("Not followed any more.") : describe(error)}`);
    } finally {
      clearTimeout(timer);
      for (const each of listening) each.dispose();
      if (this.following.get(source) === now) this.following.delete(source);
      if (this.following.size === 0) this.item.hide();
    }
  }

  private channel(source: LogSource): vscode.OutputChannel {
    const known = this.channels.get(source);
    if (known !== undefined) return known;
    const made = vscode.window.createOutputChannel(NAMES[source], "log");
    this.channels.set(source, made);
    return made;
  }
}

/** The clock of the person's, the replica without its revision's name, and the text. */
function shown({ time, revision, replica, text }: LogLine): string {
  const place = replica.startsWith(`${revision}-`) ? replica.slice(revision.length + 1) : replica || revision;
  const clock = time === "" ? "" : new Date(time).toLocaleTimeString(undefined, { hour12: false });
  return [clock, place, text].filter((part) => part !== "").join(" ");
}
