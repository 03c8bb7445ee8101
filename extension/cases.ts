// The rows of a project's data set as tests: found when the Test Explorer is opened, asked all together or one by one.
import { existsSync } from "node:fs";
import path from "node:path";
import * as vscode from "vscode";
import { describe, say } from "./messages";
import { cloudSetting, operate, type Rooms } from "./operate";
import { Cancelled } from "./outcomes";
import type { Evaluated, EvaluationLine } from "./protocol";

/** Adds what the Test Explorer shows. Nothing is started before somebody opens it. */
export function registerCases(rooms: Rooms): vscode.Disposable {
  const controller = vscode.tests.createTestController("slipway.evaluation", vscode.l10n.t("Evaluation of the endpoint"));
  const cases = new Cases(rooms, controller);
  controller.resolveHandler = async (item) => {
    if (item === undefined) await cases.find();
  };
  controller.refreshHandler = () => cases.find();
  controller.createRunProfile(vscode.l10n.t("Evaluate"), vscode.TestRunProfileKind.Run, (request, token) => cases.run(request, token), true);
  return new vscode.Disposable(() => { controller.dispose(); });
}

class Cases {
  constructor(
    private readonly rooms: Rooms,
    private readonly controller: vscode.TestController,
  ) {}

  /** One item a folder that is provisioned, and below it one a row. */
  async find(): Promise<void> {
    const folders = vscode.workspace.isTrusted ? (vscode.workspace.workspaceFolders ?? []) : [];
    const items = await Promise.all(folders.filter(({ uri }) => existsSync(path.join(uri.fsPath, "infra", "inference.config.json"))).map((folder) => this.itemOf(folder)));
    this.controller.items.replace(items);
  }

  private async itemOf(folder: vscode.WorkspaceFolder): Promise<vscode.TestItem> {
    const item = this.controller.createTestItem(folder.uri.toString(), folder.name, folder.uri);
    try {
      const { cases } = await this.rooms.sidecar.ask("slipway/evaluationCases", { folder: folder.uri.fsPath });
      item.children.replace(
        cases.map(({ id, file, line, asked }, number) => {
          const child = this.controller.createTestItem(id, asked, vscode.Uri.file(file));
          child.range = new vscode.Range(line - 1, 0, line - 1, 0);
          child.sortText = String(number).padStart(8, "0"); // as the file has them
          return child;
        }),
      );
    } catch (error) {
      item.error = describe(error); // it stands where the rows would
    }
    return item;
  }

  async run(request: vscode.TestRunRequest, token: vscode.CancellationToken): Promise<void> {
    const run = this.controller.createTestRun(request);
    try {
      for (const folder of vscode.workspace.workspaceFolders ?? []) {
        const chosen = this.chosen(folder, request);
        if (chosen.length > 0) await this.ask(run, folder, chosen, token);
      }
    } finally {
      run.end();
    }
  }

  private chosen(folder: vscode.WorkspaceFolder, { include, exclude }: vscode.TestRunRequest): readonly vscode.TestItem[] {
    const root = this.controller.items.get(folder.uri.toString());
    if (root === undefined) return [];
    const every: vscode.TestItem[] = [];
    root.children.forEach((item) => every.push(item));
    const without = exclude ?? [];
    return every.filter((item) => (include === undefined || include.includes(root) || include.includes(item)) && !without.includes(root) && !without.includes(item));
  }

  private async ask(run: vscode.TestRun, folder: vscode.WorkspaceFolder, items: readonly vscode.TestItem[], token: vscode.CancellationToken): Promise<void> {
    for (const item of items) run.started(item);
    const title = vscode.l10n.t("Evaluate inference endpoint");
    const asked = { folder: folder.uri.fsPath, cloud: cloudSetting(), datasets: [], models: [], against: null, run: null, most: null, only: items.map(({ id }) => id), anew: true };
    try {
      const done = await operate(this.rooms, title, async (operation, consents, stop) => {
        const either = new vscode.CancellationTokenSource();
        const ends = [stop, token].map((each) => each.onCancellationRequested(() => { either.cancel(); }));
        try {
          return await this.rooms.sidecar.ask("slipway/evaluate", { ...asked, consents, operation }, either.token);
        } finally {
          for (const each of ends) each.dispose();
          either.dispose();
        }
      });
      for (const item of items) tell(run, item, done);
    } catch (error) {
      const said = error instanceof Cancelled ? undefined : new vscode.TestMessage(describe(error));
      for (const item of items) {
        if (said === undefined) run.skipped(item);
        else run.errored(item, said);
      }
    }
  }
}

function tell(run: vscode.TestRun, item: vscode.TestItem, done: Evaluated | undefined): void {
  const line = done?.lines.find(({ id }) => id === item.id);
  if (line === undefined || (line.outcome === "unjudged" && line.sentence === null)) run.skipped(item);
  else if (line.outcome === "unjudged") run.errored(item, messageOf(item, line));
  else if (line.outcome === "passed") run.passed(item);
  else run.failed(item, messageOf(item, line));
  for (const { model, text } of line?.answers ?? []) run.appendOutput(`${model}: ${printable(text ?? "-")}\r\n`.replaceAll(/\r?\n/g, "\r\n"), undefined, item);
}

/** What was expected beside what the last model said, where a text is expected. */
function messageOf(item: vscode.TestItem, { sentence, expected, answers }: EvaluationLine): vscode.TestMessage {
  const text = sentence === null ? "" : say(sentence);
  const message = expected === null ? new vscode.TestMessage(text) : vscode.TestMessage.diff(text, expected, answers.at(-1)?.text ?? "");
  if (item.uri !== undefined && item.range !== undefined) message.location = new vscode.Location(item.uri, item.range);
  return message;
}

/** A model may answer anything: what steers a terminal is shown, not obeyed. */
function printable(text: string): string {
  return text.replaceAll(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, (each) => (each === "\r" ? "" : `\\x${each.charCodeAt(0).toString(16).padStart(2, "0")}`));
}
