// What the person reads: sentences in their language, failures with a way on, and work in progress.
import * as vscode from "vscode";
import { Cancelled, Refusal, type Sidecar } from "./client";
import type { Sentence } from "./protocol";
import { Problem } from "./sentences";

/** In the language of VS Code's window, with the sentences in its holes. */
export function say({ message, args }: Sentence): string {
  const filled = Object.entries(args).map(([name, value]) => [name, typeof value === "string" ? value : say(value)] as const);
  return vscode.l10n.t(message, Object.fromEntries(filled));
}

/** When something was, in the language of the window and by this machine's clock. */
export function moment(iso: string, part: "whole" | "time" = "whole"): string {
  const at = new Date(iso);
  return part === "time" ? at.toLocaleTimeString(vscode.env.language) : at.toLocaleString(vscode.env.language);
}

/** Another way on from a failure: a button, and what it does. `leads`: it tells more of it than the log. */
export interface Way {
  readonly title: string;
  readonly go: () => Promise<void> | void;
  readonly leads?: boolean;
}

/** Writes a failure into the log and shows it, with its suggestion. Leaving something is not a failure. `ways`: where more is told of
 * what did not start. */
export async function showFailure(error: unknown, log: vscode.LogOutputChannel, ways: readonly Way[] = []): Promise<void> {
  const cancelled = error instanceof Cancelled || error instanceof vscode.CancellationError || (error instanceof Error && error.name === "AbortError");
  if (cancelled) {
    const outcome = error instanceof Cancelled && error.outcome !== undefined ? describe(error.outcome) : vscode.l10n.t("Cancelled.");
    log.info(outcome);
    await offerLog(vscode.window.showInformationMessage, outcome, log);
    return;
  }
  const text = describe(error);
  log.error(text);
  const detail = error instanceof Problem ? error.detail : error instanceof Error ? error.stack : undefined;
  if (detail !== undefined) log.error(detail);
  // What was read elsewhere (the end of a container's log) is too long for a notification, which says where it is.
  if (error instanceof Refusal && error.failure.problems.length > 0) {
    const panel: Way = { title: vscode.l10n.t("Show problems"), go: async () => { await vscode.commands.executeCommand("workbench.actions.view.problems"); } };
    await offer(vscode.window.showErrorMessage, text, [panel, ...ways]);
    return;
  }
  const shown = error instanceof Problem && detail !== undefined ? vscode.l10n.t("{failure} The log holds the details.", { failure: text }) : text;
  await offerLog(vscode.window.showErrorMessage, shown, log, error instanceof Problem && error.setting !== undefined ? settingWays(error.setting) : ways);
}

/** To the setting, and to the Python extension's own choice where it is installed. */
function settingWays(setting: string): readonly Way[] {
  const settings: Way = { title: vscode.l10n.t("Open settings"), go: async () => { await vscode.commands.executeCommand("workbench.action.openSettings", `@id:${setting}`); } };
  const select: Way = { title: vscode.l10n.t("Select interpreter"), go: async () => { await vscode.commands.executeCommand("python.setInterpreter"); } };
  return vscode.extensions.getExtension("ms-python.python") === undefined ? [settings] : [settings, select];
}

type Show = (message: string, ...items: string[]) => Thenable<string | undefined>;

/** Buttons for which a notification has room in every language; VS Code cuts their words off where there are more. */
const ROOM = 2;

/** The log is one more way on: a button where there is room for it, else a link in the text. */
export async function offerLog(show: Show, message: string, log: vscode.LogOutputChannel, ways: readonly Way[] = []): Promise<void> {
  const [leading, further] = [true, false].map((wanted) => ways.filter(({ leads }) => (leads ?? false) === wanted));
  const showLog: Way = { title: vscode.l10n.t("Show log"), go: () => { log.show(); } };
  if (ways.length < ROOM) await offer(show, message, [...(leading ?? []), showLog, ...(further ?? [])]);
  else await offer(show, withLog(message), [...(leading ?? []), ...(further ?? [])]);
}

/** With a link to the log, which a notification shows as one. */
export function withLog(message: string): string {
  return `${message} ([${vscode.l10n.t("show log")}](command:slipway.showLog))`;
}

async function offer(show: Show, message: string, ways: readonly Way[]): Promise<void> {
  const offered = ways.slice(0, ROOM);
  const chosen = await show(message, ...offered.map(({ title }) => title));
  await offered.find(({ title }) => title === chosen)?.go();
}

/** A failure in one line: what, and what to do. */
export function describe(error: unknown): string {
  if (!(error instanceof Problem)) return error instanceof Error ? error.message : String(error);
  const what = say(error.what);
  if (error.suggestion === undefined) return what;
  return sentences(what, say(error.suggestion));
}

/** One after the other. A reason in somebody else's words may lack its full stop. */
export function sentences(first: string, second: string): string {
  return `${/[.!?…:。！？：]\)?$/.test(first) ? first : `${first}.`} ${second}`;
}

/** As long as nobody wonders whether anything happens. */
const A_MOMENT = 500;

/** A short request. A notification says by its title that it is waited for, once it takes longer than a moment. */
export async function waitedFor<T>(title: string, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const moment = new Promise<"slow">((resolve) => { timer = setTimeout(() => { resolve("slow"); }, A_MOMENT); });
  try {
    if ((await Promise.race([work.then(() => "quick" as const), moment])) === "quick") return await work;
  } finally {
    clearTimeout(timer);
  }
  return vscode.window.withProgress({ location: vscode.ProgressLocation.Notification, title }, () => work);
}

/** A request that may be repeated with consents. */
export type Ask<T> = (operation: string, consents: readonly string[], stop: vscode.CancellationToken) => Promise<T>;

/**
 * Runs a long request under a progress notification. What costs time, disk or money is asked for once, in a dialog, and the
 * request repeated with the consent. Undefined when the person declines.
 */
export async function follow<T>(title: string, sidecar: Sidecar, ask: Ask<T>): Promise<T | undefined> {
  const consents: string[] = [];
  for (;;) {
    const outcome = await withProgress(title, sidecar, (operation, stop) => ask(operation, consents, stop));
    if (!(outcome instanceof ConsentNeeded)) return outcome;
    const go = vscode.l10n.t("Continue");
    const { what, suggestion, consent } = outcome;
    if (consents.includes(consent)) throw new Problem(what, suggestion); // it was given, and changed nothing
    const options = { modal: true, ...(suggestion === undefined ? {} : { detail: say(suggestion) }) };
    if ((await vscode.window.showWarningMessage(say(what), options, go)) !== go) return undefined;
    consents.push(consent);
  }
}

class ConsentNeeded {
  constructor(
    readonly consent: string,
    readonly what: Sentence,
    readonly suggestion: Sentence | undefined,
  ) {}
}

function withProgress<T>(title: string, sidecar: Sidecar, work: (operation: string, stop: vscode.CancellationToken) => Promise<T>): Thenable<T | ConsentNeeded> {
  const operation = crypto.randomUUID();
  // Notifications show links; this one leads to the log without a second notification.
  const options = { location: vscode.ProgressLocation.Notification, cancellable: true, title: `${title} ([${vscode.l10n.t("show log")}](command:slipway.showLog))` };
  return vscode.window.withProgress(options, async (progress, stop) => {
    const listening = sidecar.on("slipway/progress", (event) => {
      if (event.operation !== operation) return;
      progress.report({ message: say(event.text), ...(event.increment === null ? {} : { increment: event.increment }) });
    });
    try {
      return await work(operation, stop);
    } catch (error) {
      if (error instanceof Refusal && error.failure.consent !== null) return new ConsentNeeded(error.failure.consent, error.what, error.suggestion);
      throw error;
    } finally {
      listening.dispose();
    }
  });
}
