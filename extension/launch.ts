// How the sidecar's process is started: with which interpreter, packages and environment variables.
import { existsSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import * as vscode from "vscode";
import type { Launch } from "./client";
import { cleanEnvironment, environment, isReady, makeEnvironment, missingModules, type Listener, type Proxy } from "./environment";
import { candidates, knownPython, type Python } from "./python";
import { Problem, sentence } from "./sentences";

export async function launch(context: vscode.ExtensionContext, log: vscode.LogOutputChannel, stop: AbortSignal): Promise<Launch> {
  const python = await knownPython(await pythonCandidates(), (line) => { log.debug(line); });
  log.info(`Python ${python.version}: ${python.path}`);
  const command = strategy() === "fromEnvironment" ? await ownPackages(python) : await privateEnvironment(context, log, python, stop);
  // Bytecode is kept beside the sources, where that can be written: each start would compile two hundred files anew.
  const env = { ...cleanEnvironment(proxy()), PYTHONUTF8: "1", ...compiler() };
  return { command, args: ["-m", "sidecar", "serve"], cwd: context.extensionPath, env, ...debugging(context, env) };
}

async function privateEnvironment(context: vscode.ExtensionContext, log: vscode.LogOutputChannel, python: Python, stop: AbortSignal): Promise<string> {
  const [home, lock] = [environments(context), lockFile(context)];
  const found = await environment(home, lock, python);
  if (found !== undefined) return found;
  const title = vscode.l10n.t("Slipway: preparing its Python packages (once)");
  return vscode.window.withProgress({ location: vscode.ProgressLocation.Notification, title, cancellable: true }, (progress, token) => {
    const wheels = vscode.workspace.getConfiguration("slipway").get("python.wheels", "").trim();
    const cancelled = new AbortController();
    token.onCancellationRequested(() => { cancelled.abort(); });
    const listener: Listener = { progress: (message, increment) => { progress.report({ message, increment }); }, line: (line) => { log.debug(line); } };
    return makeEnvironment(home, lock, python, listener, AbortSignal.any([stop, cancelled.signal]), cleanEnvironment(proxy()), wheels);
  });
}

async function ownPackages(python: Python): Promise<string> {
  const missing = await missingModules(python.path, ["pygls", "lsprotocol", "pydantic", "azure", "truststore", "tree_sitter", "yaml"]);
  if (missing.length === 0) return python.path;
  throw new Problem(
    sentence("The interpreter {path} lacks packages that Slipway needs: {packages}.", { path: python.path, packages: missing.join(", ") }),
    sentence("Install sidecar/requirements.txt of this extension into it, or set slipway.python.importStrategy to useBundled."),
  );
}

/** Whether the sidecar can start without fetching anything. */
export async function needsNoSetUp(context: vscode.ExtensionContext, log: vscode.LogOutputChannel): Promise<boolean> {
  if (strategy() === "fromEnvironment") return true;
  if (!existsSync(environments(context))) return false;
  try {
    const python = await knownPython(await pythonCandidates(), (line) => { log.debug(line); });
    return await isReady(environments(context), lockFile(context), python);
  } catch (error) {
    // Said when a command needs it; looking at the view is no reason to complain.
    log.debug(String(error));
    return false;
  }
}

async function pythonCandidates(): Promise<ReturnType<typeof candidates>> {
  const setting = vscode.workspace.getConfiguration("slipway").get("python.path", "").trim();
  return candidates(setting, setting === "" ? await pythonExtensionsInterpreter() : undefined);
}

/** The interpreter that the person chose in Microsoft's Python extension, where it is installed. */
async function pythonExtensionsInterpreter(): Promise<string | undefined> {
  interface PythonApi {
    readonly environments: { getActiveEnvironmentPath(resource?: vscode.Uri): { readonly path: string } };
  }
  const extension = vscode.extensions.getExtension<PythonApi>("ms-python.python");
  if (extension === undefined) return undefined;
  const api = await extension.activate();
  const { path: found } = api.environments.getActiveEnvironmentPath(vscode.workspace.workspaceFolders?.[0]?.uri);
  return path.isAbsolute(found) ? found : undefined;
}

function strategy(): "useBundled" | "fromEnvironment" {
  return vscode.workspace.getConfiguration("slipway").get("python.importStrategy", "useBundled");
}

/** The Bicep CLI that the person names, and where one is fetched. */
function compiler(): NodeJS.ProcessEnv {
  const settings = vscode.workspace.getConfiguration("slipway");
  const stated = [["path", "SLIPWAY_BICEP_PATH"], ["mirror", "SLIPWAY_BICEP_MIRROR"], ["sha256", "SLIPWAY_BICEP_SHA256"]] as const;
  const named = stated.map(([name, variable]) => [variable, settings.get(`bicep.${name}`, "").trim()] as const);
  return Object.fromEntries(named.filter(([, value]) => value !== ""));
}

/** VS Code's own; that it bears unknown certificates (`http.proxyStrictSSL`) is not passed on: ours are always checked. */
function proxy(): Proxy {
  const settings = vscode.workspace.getConfiguration("http");
  return { url: settings.get("proxy", ""), except: settings.get("noProxy", []) };
}

function environments(context: vscode.ExtensionContext): string {
  return path.join(context.globalStorageUri.fsPath, "environments");
}

function lockFile(context: vscode.ExtensionContext): string {
  return path.join(context.extensionPath, "sidecar", "requirements.txt");
}

/** F5 "Extension + Sidecar": the sidecar connects to the debugger that waits for it. */
function debugging(context: vscode.ExtensionContext, env: NodeJS.ProcessEnv): Partial<Launch> {
  const address = process.env["SLIPWAY_DEBUGPY"];
  const debugpy = vscode.extensions.getExtension("ms-python.debugpy");
  if (context.extensionMode !== vscode.ExtensionMode.Development || address === undefined || debugpy === undefined) return {};
  return {
    args: ["-m", "debugpy", "--connect", address, "-m", "sidecar", "serve"],
    held: true,
    env: { ...env, PYTHONPATH: path.join(debugpy.extensionPath, "bundled", "libs") },
  };
}
