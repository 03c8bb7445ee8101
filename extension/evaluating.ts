// Evaluate: base and adapters are asked the rows of a data set; the report is opened, and beside it two answers that differ.
import path from "node:path";
import * as vscode from "vscode";
import { say } from "./messages";
import { cloudSetting, operate, type Rooms } from "./operate";
import type { Evaluated, EvaluationLine } from "./protocol";

const SCHEME = "slipway-answer";

/** What models said, for VS Code's own comparison: by address, for as long as the window is open. */
class Answers implements vscode.TextDocumentContentProvider {
  private readonly texts = new Map<string, string>();

  provideTextDocumentContent(uri: vscode.Uri): string {
    return this.texts.get(uri.toString()) ?? "";
  }

  at(run: string, line: EvaluationLine, number: number): vscode.Uri {
    const answer = line.answers[number];
    // No name of a model is a path: a slash in it would be one.
    const uri = vscode.Uri.from({ scheme: SCHEME, path: `/${run}/${line.place.replaceAll("/", "∕")}/${(answer?.model ?? "").replaceAll("/", "∕")}.txt` });
    this.texts.set(uri.toString(), answer?.text ?? "");
    return uri;
  }
}

const answers = new Answers();

export function registerAnswers(): vscode.Disposable {
  return vscode.workspace.registerTextDocumentContentProvider(SCHEME, answers);
}

export async function evaluate(rooms: Rooms, folder: vscode.WorkspaceFolder): Promise<void> {
  const title = vscode.l10n.t("Evaluate inference endpoint");
  const asked = { folder: folder.uri.fsPath, cloud: cloudSetting(), datasets: [], models: [], against: null, run: null, most: null, only: [], anew: false };
  const done = await operate(rooms, title, (operation, consents, stop) => rooms.sidecar.ask("slipway/evaluate", { ...asked, consents, operation }, stop));
  if (done === undefined) return;
  await openReport(done.report);
  const first = done.lines.find(({ differ }) => differ);
  if (first !== undefined) await compare(done, first);
  await offerNext(done);
}

export async function openReport(file: string): Promise<void> {
  const uri = vscode.Uri.file(file);
  // VS Code's own Markdown extension renders it; where somebody has switched that off, the text is as readable.
  if (vscode.extensions.getExtension("vscode.markdown-language-features") !== undefined) await vscode.commands.executeCommand("markdown.showPreview", uri);
  else await vscode.window.showTextDocument(uri, { preview: false });
}

/** The model that the others are compared with, and the one beside it whose answer is another. */
async function compare({ run }: Evaluated, line: EvaluationLine): Promise<void> {
  const other = line.answers.findIndex(({ text }) => text !== line.answers[0]?.text);
  if (other < 1) return;
  const title = vscode.l10n.t("{place}: {one} and {other}", { place: path.posix.basename(line.place), one: line.answers[0]?.model ?? "", other: line.answers[other]?.model ?? "" });
  const options = { viewColumn: vscode.ViewColumn.Beside, preserveFocus: true, preview: true };
  await vscode.commands.executeCommand("vscode.diff", answers.at(run, line, 0), answers.at(run, line, other), title, options);
}

async function offerNext(done: Evaluated): Promise<void> {
  const others = vscode.l10n.t("Compare other answers");
  const differ = done.lines.filter((line) => line.differ);
  const show = done.met ? vscode.window.showInformationMessage : vscode.window.showWarningMessage;
  const message = [done.sentence, ...done.notes].map(say).join(" ");
  if ((await show(message, ...(differ.length > 1 ? [others] : []))) !== others) return;
  const picks = differ.map((line) => ({ label: line.asked, detail: line.place, line }));
  const chosen = await vscode.window.showQuickPick(picks, { title: others, matchOnDetail: true });
  if (chosen !== undefined) await compare(done, chosen.line);
}
