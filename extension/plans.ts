// The plan of a Provision as a read-only page: what would be made, changed, left and paid, before anything is.
import * as vscode from "vscode";

const SCHEME = "slipway-plan";

/** One page a folder; a new plan takes the place of the one before. */
export class Plans implements vscode.TextDocumentContentProvider, vscode.Disposable {
  private readonly pages = new Map<string, string>();
  private readonly changed = new vscode.EventEmitter<vscode.Uri>();
  readonly onDidChange = this.changed.event;
  private readonly registered = vscode.workspace.registerTextDocumentContentProvider(SCHEME, this);

  provideTextDocumentContent(uri: vscode.Uri): string {
    return this.pages.get(uri.path) ?? "";
  }

  async open(folder: vscode.WorkspaceFolder, markdown: string): Promise<void> {
    const uri = vscode.Uri.from({ scheme: SCHEME, path: `/${folder.name}/${vscode.l10n.t("Plan for {folder}", { folder: folder.name })}.md` });
    this.pages.set(uri.path, markdown);
    this.changed.fire(uri);
    // VS Code's own Markdown extension renders it; where somebody has switched that off, the text is as readable.
    if (vscode.extensions.getExtension("vscode.markdown-language-features") !== undefined) await vscode.commands.executeCommand("markdown.showPreview", uri);
    else await vscode.window.showTextDocument(await vscode.workspace.openTextDocument(uri), { preview: true });
  }

  dispose(): void {
    this.registered.dispose();
    this.changed.dispose();
  }
}
