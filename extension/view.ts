// What runs where, in text: the tree of the endpoint and the status bar item.
import * as vscode from "vscode";
import type { Sidecar } from "./client";
import { appName, CONFIG, localFolders, stated } from "./folders";
import { LastState, pauseAfter } from "./lookups";
import { describe, moment, say } from "./messages";
import type { CloudName, Phase, RevisionLine, RunsOn, State, Status } from "./protocol";

/** One line of the tree. */
interface Line {
  readonly label: string;
  readonly text: string;
  readonly icon: string;
  readonly command?: string;
  readonly children?: readonly Line[];
  /** Which commands its menu offers (`view/item/context` in package.json). */
  readonly about?: "endpoint" | "state" | "release" | "replica" | "models" | "trouble";
}

/** A command that was chosen in a row's menu is given that row. */
export function isRow(given: unknown): boolean {
  return typeof given === "object" && given !== null && "label" in given && "text" in given && "icon" in given;
}

const LOOK_AGAIN_AFTER = 5_000;
/** Of an operation that takes longer than this, one look in so long is enough. */
const LONG = 120_000;
const LOOK_AGAIN_AFTER_LONG = 30_000;

/** Shows one folder's endpoint. It looks when something happened or somebody asks, and again only while a replica starts, or an operation
 * of this window goes on: each look at a running replica counts as a request, so looking by the clock would keep a GPU awake. */
export class EndpointView implements vscode.TreeDataProvider<Line>, vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<undefined>();
  readonly onDidChangeTreeData = this.changed.event;
  private readonly item = vscode.window.createStatusBarItem("slipway.status", vscode.StatusBarAlignment.Left, 0);
  private readonly tree: vscode.TreeView<Line>;
  private readonly watcher = vscode.workspace.createFileSystemWatcher(`**/${CONFIG}`);
  private readonly last = new LastState<vscode.WorkspaceFolder, Status>();
  private timer: NodeJS.Timeout | undefined;
  private found = false;
  /** When the operations began that go on. */
  private readonly began = new Set<number>();
  /** What the configuration says of its address, null for nothing, while the state is read for the first time. */
  private expected: string | null | undefined;

  constructor(
    private readonly sidecar: Sidecar,
    private readonly log: vscode.LogOutputChannel,
    /** Whether looking needs no set-up: a view must not start a download. */
    private readonly mayLook: () => Promise<boolean>,
  ) {
    this.tree = vscode.window.createTreeView("slipway.endpoint", { treeDataProvider: this });
    this.tree.onDidChangeVisibility(({ visible }) => {
      if (visible && this.last.state === undefined) void this.look();
    });
    this.item.name = "Slipway";
    this.item.command = "slipway.endpoint.focus";
    for (const event of [this.watcher.onDidChange, this.watcher.onDidCreate, this.watcher.onDidDelete]) event(() => void this.look());
  }

  dispose(): void {
    clearTimeout(this.timer);
    for (const each of [this.changed, this.item, this.tree, this.watcher]) each.dispose();
  }

  /** Whether the folder that is shown has an endpoint, as last looked at. */
  get provisioned(): boolean {
    return this.found;
  }

  /** How it stands, as last looked at; undefined where that failed, or nobody has looked. */
  get seen(): Status | undefined {
    return this.last.failure === undefined ? this.last.state : undefined;
  }

  /** Whose endpoint the rows are about. */
  get shown(): vscode.WorkspaceFolder | undefined {
    return this.last.shown;
  }

  /** Shows this folder from now on: no row of another stays, since a row's menu acts on the folder that is shown. */
  follow(folder: vscode.WorkspaceFolder): void {
    const before = this.last.shown;
    if (!this.last.show(folder) || before === undefined) return;
    this.expected = undefined;
    this.show();
    if (this.tree.visible) void this.look();
  }

  /** Reads the state when that needs no set-up and somebody sees it. Whatever fails is said in the view: most who call do not wait. */
  async look(): Promise<void> {
    try {
      await this.lookOnce();
    } catch (error) {
      this.log.warn(`The endpoint's state could not be read: ${describe(error)}`);
      this.last.failure = error;
    }
    this.expected = undefined;
    this.show();
  }

  private async lookOnce(): Promise<void> {
    const provisioned = await this.findFolder();
    const folder = this.last.shown;
    if (!provisioned || folder === undefined || !vscode.workspace.isTrusted) return;
    if (this.last.state === undefined) {
      const address = (await stated(folder, "ACA_APP_ENDPOINT")) ?? null;
      if (this.last.shown === folder) this.expected = address;
      this.show();
    }
    if (this.sidecar.isRunning || (await this.mayLook())) await this.refresh();
  }

  /** The person has come back to the window. */
  async lookAgain(): Promise<void> {
    const { state, failure, at } = this.last;
    if (state === undefined && failure === undefined) {
      await this.look(); // what a look needs may not have been there when the window opened
      return;
    }
    if (state !== undefined && Date.now() - at > pauseAfter(this.seen)) await this.look();
  }

  /** Reads the state now. Failing is said in the view, not in a notification. */
  async refresh(): Promise<void> {
    await vscode.window.withProgress({ location: { viewId: "slipway.endpoint" } }, () => this.last.read(() => this.findFolder(), (folder) => this.statusOf(folder)));
    this.lookLater();
    this.show();
  }

  /** Follows an operation that changes what is shown. */
  async during<T>(operation: () => Promise<T>): Promise<T> {
    let began = Date.now();
    while (this.began.has(began)) began += 1;
    this.began.add(began);
    this.lookLater();
    try {
      return await operation();
    } finally {
      this.began.delete(began);
      void this.look();
    }
  }

  private lookLater(): void {
    clearTimeout(this.timer);
    if (!this.tree.visible || this.last.failure !== undefined) return;
    const newest = Math.max(...this.began);
    if (this.last.state?.state === "starting" || Date.now() - newest < LONG) this.timer = setTimeout(() => void this.look(), LOOK_AGAIN_AFTER);
    else if (this.began.size > 0) this.timer = setTimeout(() => void this.look(), LOOK_AGAIN_AFTER_LONG);
  }

  private async statusOf(folder: vscode.WorkspaceFolder): Promise<Status> {
    const cloud = vscode.workspace.getConfiguration("slipway").get<CloudName>("cloud", "auto");
    try {
      return await this.sidecar.ask("slipway/status", { folder: folder.uri.fsPath, cloud });
    } catch (error) {
      this.log.warn(`The endpoint's state could not be read: ${describe(error)}`);
      throw error;
    }
  }

  getTreeItem(line: Line): vscode.TreeItem {
    const collapsed = line.children === undefined ? vscode.TreeItemCollapsibleState.None : vscode.TreeItemCollapsibleState.Expanded;
    const item = new vscode.TreeItem(line.label, collapsed);
    item.description = line.text;
    item.tooltip = `${line.label}: ${line.text}`;
    item.iconPath = new vscode.ThemeIcon(line.icon);
    item.accessibilityInformation = { label: `${line.label}: ${line.text}` };
    if (line.about !== undefined) item.contextValue = line.about;
    if (line.command !== undefined) item.command = { command: line.command, title: line.label };
    return item;
  }

  getChildren(line?: Line): Line[] {
    return [...(line === undefined ? this.lines() : (line.children ?? []))];
  }

  /** Keeps the folder, or takes the first provisioned one; true when it is provisioned. */
  private async findFolder(): Promise<boolean> {
    for (;;) {
      const folders = localFolders();
      if (this.last.shown !== undefined && !folders.includes(this.last.shown)) this.last.show(undefined);
      const before = this.last.shown;
      const provisioned = await firstProvisioned(before === undefined ? folders : [before]);
      if (this.last.shown !== before) continue; // a command has come to show another meanwhile
      if (provisioned === undefined) this.last.forget();
      else this.last.show(provisioned);
      this.found = provisioned !== undefined;
      await vscode.commands.executeCommand("setContext", "slipway.provisioned", this.found);
      if (this.last.shown === (provisioned ?? before)) return this.found;
    }
  }

  private show(): void {
    const { state: status, failure, shown } = this.last;
    this.tree.description = localFolders().length > 1 && this.lines().length > 0 ? (shown?.name ?? "") : "";
    this.changed.fire(undefined);
    if (status === undefined) {
      this.item.hide();
      return;
    }
    // What was read before a look that failed is not what is: it may have been "ready".
    const text = failure === undefined ? summary(status) : vscode.l10n.t("state unknown");
    this.item.text = `$(rocket) Slipway: ${text}`;
    this.item.tooltip = failure === undefined ? [`${status.app ?? ""} ${status.url ?? ""}`.trim(), ...(status.cost.length === 0 ? [] : [`${vscode.l10n.t("Cost now")}: ${costs(status)}`])].join("\n") : describe(failure);
    this.item.backgroundColor = failure !== undefined || status.failure ? new vscode.ThemeColor("statusBarItem.warningBackground") : undefined;
    this.item.accessibilityInformation = { label: `Slipway: ${text}` };
    this.item.show();
  }

  private lines(): readonly Line[] {
    if (this.last.failure !== undefined) {
      return [{ label: vscode.l10n.t("State unknown"), text: describe(this.last.failure), icon: "warning", command: "slipway.showLog", about: "trouble" }];
    }
    if (this.last.state !== undefined) return tree(this.last.state);
    // Before a sidecar has started, and a cloud has answered, seconds may pass.
    return this.found && this.expected !== undefined
      ? [
          { label: vscode.l10n.t("Endpoint"), text: this.expected ?? vscode.l10n.t("none"), icon: "globe" },
          { label: vscode.l10n.t("State"), text: vscode.l10n.t("being read…"), icon: "loading~spin" },
        ]
      : [];
  }
}

async function firstProvisioned(folders: readonly vscode.WorkspaceFolder[]): Promise<vscode.WorkspaceFolder | undefined> {
  for (const each of folders) if (typeof (await appName(each)) === "string") return each;
  return undefined;
}

function tree(status: Status): readonly Line[] {
  const unknown = vscode.l10n.t("none");
  const lines: Line[] = [
    { label: vscode.l10n.t("Endpoint"), text: status.url ?? unknown, icon: "globe", about: "endpoint", ...(status.url === null ? {} : { command: "slipway.openEndpoint" }) },
    { label: vscode.l10n.t("State"), text: summary(status), icon: "pulse", about: "state" },
    ...released(status),
    {
      label: vscode.l10n.t("Revision"),
      text: status.revision ?? unknown,
      icon: "versions",
      ...(status.revisions.length > 1 ? { children: status.revisions.map(revisionLine) } : {}),
    },
    {
      label: vscode.l10n.t("Replicas"),
      text: status.replicas.length === 0 ? vscode.l10n.t("none awake, nothing is billed") : String(status.replicas.length),
      icon: "server-process",
      children: status.replicas.map(({ name, state, phase }) => ({
        // The revision's name, which stands one line above, is most of it.
        label: name.replace(`${status.revision ?? ""}-`, ""),
        text: phase === null ? state : `${state}, ${named(phase)}`,
        icon: "vm-running",
        about: "replica" as const,
      })),
    },
  ];
  lines.push(...spent(status));
  if (status.base !== null || status.refused.length > 0) lines.push(models(status));
  if (status.runsOn !== null) lines.push(...runsOn(status.runsOn));
  if (status.reason !== null) lines.push({ label: vscode.l10n.t("Reason"), text: say(status.reason), icon: "info", about: "trouble" });
  for (const note of status.notes) lines.push({ label: vscode.l10n.t("Note"), text: say(note), icon: "warning" });
  return [...lines, { label: vscode.l10n.t("Last looked at"), text: moment(status.lookedAt, "time"), icon: "eye" }];
}

function costs({ cost }: Status): string {
  return cost.map(say).join(" ");
}

/** The amount, and below it what is to be known of it: a row shows the beginning of its text only. */
function spent({ cost }: Status): Line[] {
  const now = cost.at(-1);
  if (now === undefined) return [];
  const notes = cost.slice(0, -1).map((note): Line => ({ label: vscode.l10n.t("Note"), text: say(note), icon: "info" }));
  return [{ label: vscode.l10n.t("Cost now"), text: say(now), icon: "credit-card", ...(notes.length === 0 ? {} : { children: notes }) }];
}

function released({ release, generation }: Status): Line[] {
  if (release === null || release === "") return [];
  const text = generation === null ? release.slice(0, 12) : vscode.l10n.t("{release} (generation {generation})", { release: release.slice(0, 12), generation: String(generation) });
  return [{ label: vscode.l10n.t("Release"), text, icon: "package", about: "release" }];
}

/** Azure's own words. */
function revisionLine({ name, state, health, serves }: RevisionLine): Line {
  const text = serves ? vscode.l10n.t("serves ({state}, {health})", { state, health }) : `${state}, ${health}`;
  return { label: name, text, icon: health === "Unhealthy" ? "error" : serves ? "pass" : "circle-outline" };
}

function runsOn({ device, gpu, dtype, weights, attention }: RunsOn): Line[] {
  const attended: Line[] = attention === "" ? [] : [{ label: vscode.l10n.t("Attention"), text: attention, icon: "symbol-operator" }];
  return [
    { label: vscode.l10n.t("GPU"), text: gpu ?? vscode.l10n.t("none ({device})", { device }), icon: "circuit-board" },
    { label: vscode.l10n.t("Number format"), text: weights === "full" || weights === "" ? dtype : `${dtype} (${weights})`, icon: "symbol-numeric" },
    ...attended,
  ];
}

/** What answers, and what is on the share and does not. */
function models({ base, adapters, refused, hashes }: Status): Line {
  const named = [...(base === null ? [] : [base]), ...adapters];
  const text = refused.length === 0 ? String(named.length) : vscode.l10n.t("{served} served, {refused} refused", { served: String(named.length), refused: String(refused.length) });
  return {
    label: vscode.l10n.t("Models"),
    text,
    icon: refused.length === 0 ? "library" : "warning",
    about: "models",
    children: [
      ...named.map((name, index) => ({ label: name, text: `${index === 0 && base !== null ? vscode.l10n.t("base model") : vscode.l10n.t("adapter")} ${(hashes[name] ?? "").slice(0, 12)}`.trim(), icon: "symbol-namespace" })),
      ...refused.map(({ name, reason }) => ({ label: name, text: vscode.l10n.t("refused: {reason}", { reason }), icon: "error" })),
    ],
  };
}

function summary({ state, phase, refused }: Status): string {
  if (state === "ready" && refused.length > 0) return vscode.l10n.t("ready, but adapters are refused: {names}", { names: refused.map(({ name }) => name).join(", ") });
  return phase === null || phase === state || state !== "starting" ? named(state) : `${named(state)}: ${named(phase)}`;
}

/** States and phases in the person's words: every one that the wire can bring, or this does not compile. */
function named(state: State | Phase): string {
  const names: Readonly<Record<State | Phase, string>> = {
    "not-provisioned": vscode.l10n.t("not provisioned"),
    missing: vscode.l10n.t("the container app does not exist any more"),
    stopped: vscode.l10n.t("stopped (no request wakes it)"),
    asleep: vscode.l10n.t("asleep (the first request wakes it)"),
    starting: vscode.l10n.t("starting"),
    "waiting-for-first-deploy": vscode.l10n.t("waiting for the first deploy"),
    dependencies: vscode.l10n.t("installing dependencies"),
    checking: vscode.l10n.t("checking the model's files"),
    "fetching-base": vscode.l10n.t("fetching the base model from the hub"),
    "loading-base": vscode.l10n.t("loading the base model"),
    "loading-adapters": vscode.l10n.t("loading the adapters"),
    "warming-up": vscode.l10n.t("warming up"),
    ready: vscode.l10n.t("ready"),
    failed: vscode.l10n.t("failed"),
    unverified: vscode.l10n.t("running, not verified"),
  };
  return names[state];
}
