// The Problems panel: places in the project's files that keep, or may keep, the code from starting.
import { statSync } from "node:fs";
import * as vscode from "vscode";
import type { Told } from "./client";
import { say } from "./messages";
import { sameLine, untold } from "./overlap";
import type { FileProblem } from "./protocol";

export class Problems implements vscode.Disposable {
  private readonly collection = vscode.languages.createDiagnosticCollection("slipway");
  /** What the commands told, by file; `folder`: of which project it is. */
  private readonly found = new Map<string, { readonly folder: string; readonly changed: number | undefined; readonly diagnostics: readonly vscode.Diagnostic[] }>();
  /** Of those that are written by others than this window's editor, too. */
  private readonly files = vscode.workspace.createFileSystemWatcher("**/{infra,inference}/**", true);
  /** What is told of the files that are open. */
  private readonly edited = new Map<string, Told>();
  private readonly shown = new Map<string, string>();
  private readonly listening: readonly vscode.Disposable[];

  constructor() {
    this.listening = [
      vscode.workspace.onDidSaveTextDocument(({ uri }) => { this.forget(uri.toString()); }),
      this.files,
      this.files.onDidChange((uri) => { this.forgetChanged(uri); }),
      this.files.onDidDelete((uri) => { this.forgetChanged(uri); }),
      vscode.languages.onDidChangeDiagnostics(({ uris }) => { for (const uri of uris) this.refresh(uri); }),
    ];
  }

  dispose(): void {
    for (const each of this.listening) each.dispose();
    this.collection.dispose();
  }

  /** Forgets what was said of a folder's files. */
  clear(folder: vscode.WorkspaceFolder): void {
    for (const [file, { folder: of }] of this.found) if (of === folder.uri.toString()) this.forget(file);
  }

  /** Adds problems to what is shown. */
  show(folder: vscode.WorkspaceFolder, problems: readonly FileProblem[]): void {
    for (const file of new Set(problems.map((each) => each.file))) {
      const uri = vscode.Uri.file(file);
      const diagnostics = problems.filter((each) => each.file === file).map(diagnostic);
      this.found.set(uri.toString(), { folder: folder.uri.toString(), changed: changedAt(uri), diagnostics });
      this.hand(uri.toString());
      this.refresh(uri);
    }
  }

  /** What is told of a file while it is edited: of a line that it names, nothing is told a second time here. */
  heard(told: Told): void {
    const key = told.uri.toString();
    this.edited.set(key, told);
    this.hand(key);
    this.shown.delete(`edited ${key}`);
    this.refresh(told.uri);
  }

  /** A line that is told of while it is edited is from then on told of there alone: what a command said of it does not come back
   * once it is put right. */
  private hand(key: string): void {
    const [found, edited] = [this.found.get(key), this.edited.get(key)];
    if (found === undefined || edited === undefined) return;
    this.found.set(key, { ...found, diagnostics: found.diagnostics.filter((each) => !edited.diagnostics.some((other) => sameLine(each, other))) });
  }

  /** What was told of a file that has changed since; the next command tells it anew. */
  private forget(file: string): void {
    if (this.found.delete(file)) this.refresh(vscode.Uri.parse(file));
  }

  /** News of a file may come late: of what was written before something was told of it, that stays true. */
  private forgetChanged(uri: vscode.Uri): void {
    const found = this.found.get(uri.toString());
    if (found !== undefined && found.changed !== changedAt(uri)) this.forget(uri.toString());
  }

  private refresh(uri: vscode.Uri): void {
    const key = uri.toString();
    const edited = this.edited.get(key);
    const found = this.found.get(key);
    if (edited === undefined && found === undefined && !this.collection.has(uri)) return;
    const all = vscode.languages.getDiagnostics(uri);
    const told = untold(edited?.diagnostics ?? [], all);
    const left = untold(found?.diagnostics ?? [], all).filter((each) => !told.some((other) => sameLine(each, other)));
    // Only what differs is set: each time that something is set, all that listens is told of it, and this listens.
    if (edited !== undefined && this.differs(`edited ${key}`, told)) edited.show(told);
    if (this.differs(`found ${key}`, left)) this.collection.set(uri, left);
  }

  private differs(key: string, diagnostics: readonly vscode.Diagnostic[]): boolean {
    const now = JSON.stringify(diagnostics.map(({ range, message, severity }) => [range, message, severity]));
    if (this.shown.get(key) === now) return false;
    this.shown.set(key, now);
    return true;
  }
}

/** Undefined where it is not there. */
function changedAt(uri: vscode.Uri): number | undefined {
  return statSync(uri.fsPath, { throwIfNoEntry: false })?.mtimeMs;
}

function diagnostic({ line, column, message, certain }: FileProblem): vscode.Diagnostic {
  const place = new vscode.Range(line - 1, column - 1, line - 1, Number.MAX_SAFE_INTEGER);
  const severity = certain ? vscode.DiagnosticSeverity.Error : vscode.DiagnosticSeverity.Warning;
  const found = new vscode.Diagnostic(place, say(message), severity);
  found.source = "Slipway";
  return found;
}
