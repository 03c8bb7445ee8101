// The Problems panel: places in the project's files that keep, or may keep, the code from starting.
import * as vscode from "vscode";
import { say } from "./messages";
import type { FileProblem } from "./protocol";

export class Problems implements vscode.Disposable {
  private readonly shown = new Map<string, Set<string>>();
  private readonly collection = vscode.languages.createDiagnosticCollection("slipway");
  private readonly told = new Map<string, readonly vscode.Diagnostic[]>();

  dispose(): void {
    this.collection.dispose();
  }

  /** Forgets what was said of a folder's files. */
  clear(folder: vscode.WorkspaceFolder): void {
    for (const file of this.shown.get(folder.uri.toString()) ?? []) this.collection.delete(vscode.Uri.file(file));
    this.shown.delete(folder.uri.toString());
  }

  /** Adds problems to what is shown. */
  show(folder: vscode.WorkspaceFolder, problems: readonly FileProblem[]): void {
    const key = folder.uri.toString();
    this.shown.set(key, new Set([...(this.shown.get(key) ?? []), ...problems.map(({ file }) => file)]));
    for (const file of new Set(problems.map((each) => each.file))) {
      const here = problems.filter((each) => each.file === file);
      this.tell(vscode.Uri.file(file), here.map(diagnostic));
    }
  }

  /** What is told of a file while it is edited: of a line that it names, nothing is told a second time here. */
  heard(uri: vscode.Uri, diagnostics: readonly vscode.Diagnostic[]): void {
    this.told.set(uri.toString(), diagnostics);
    const shown = this.collection.get(uri);
    if (shown !== undefined && shown.length > 0) this.tell(uri, shown);
  }

  private tell(uri: vscode.Uri, diagnostics: readonly vscode.Diagnostic[]): void {
    const told = this.told.get(uri.toString()) ?? [];
    this.collection.set(uri, diagnostics.filter((each) => !told.some((other) => same(each, other))));
  }
}

function same(one: vscode.Diagnostic, other: vscode.Diagnostic): boolean {
  return one.range.start.line === other.range.start.line;
}

function diagnostic({ line, column, message, certain }: FileProblem): vscode.Diagnostic {
  const place = new vscode.Range(line - 1, column - 1, line - 1, Number.MAX_SAFE_INTEGER);
  const severity = certain ? vscode.DiagnosticSeverity.Error : vscode.DiagnosticSeverity.Warning;
  const found = new vscode.Diagnostic(place, say(message), severity);
  found.source = "Slipway";
  return found;
}
