// The sidecar as a server of the Model Context Protocol, offered to the assistants of VS Code where that takes such offers.
import * as vscode from "vscode";
import type { Launch } from "./client";
import { localFolders } from "./folders";
import { toolServer } from "./toolserver";
import { isFrom } from "./versions";

/** What VS Code brings since 1.101, as far as it is used here. */
interface Registry {
  readonly registerMcpServerDefinitionProvider?: (id: string, provider: { readonly provideMcpServerDefinitions: () => Promise<readonly object[]>; readonly onDidChangeMcpServerDefinitions: vscode.Event<undefined> }) => vscode.Disposable;
}
interface Definitions {
  readonly McpStdioServerDefinition?: new (label: string, command: string, args: string[], env: Readonly<Record<string, string | null>>, version: string) => object;
}

/** Offered for trusted folders, once the packages are there: no offer fetches anything. The server's tools read, and change nothing. */
export function offerToAssistants(launch: () => Promise<Launch>, mayStart: () => Promise<boolean>, version: string): readonly vscode.Disposable[] {
  const registry = vscode.lm as unknown as Registry;
  const { McpStdioServerDefinition: Definition } = vscode as unknown as Definitions;
  if (!isFrom(vscode.version, 1, 101) || registry.registerMcpServerDefinitionProvider === undefined || Definition === undefined) return [];
  const changed = new vscode.EventEmitter<undefined>();
  const provideMcpServerDefinitions = async (): Promise<readonly object[]> => {
    const folders = localFolders().map(({ uri }) => uri.fsPath);
    if (!vscode.workspace.isTrusted || folders.length === 0 || !(await mayStart())) return [];
    const { command, args, env } = toolServer(await launch(), folders);
    return [new Definition("Slipway", command, [...args], env, version)];
  };
  return [
    new vscode.Disposable(() => { changed.dispose(); }),
    registry.registerMcpServerDefinitionProvider("slipway.tools", { provideMcpServerDefinitions, onDidChangeMcpServerDefinitions: changed.event }),
    vscode.workspace.onDidChangeWorkspaceFolders(() => { changed.fire(undefined); }),
    vscode.workspace.onDidGrantWorkspaceTrust(() => { changed.fire(undefined); }),
  ];
}
