// The connection to one process of the sidecar: what passes over it, and what is made of its end. Loaded when one is started.
import * as vscode from "vscode";
import {
  CloseAction,
  ConnectionError,
  ErrorAction,
  ErrorCodes,
  LanguageClient,
  LSPErrorCodes,
  ResponseError,
  RevealOutputChannelOn,
} from "vscode-languageclient/node";
import { spawn, type ChildProcess } from "node:child_process";
import { Frames } from "./frames";
import { Heartbeat, LIMITS } from "./heartbeat";
import { Cancelled, Refusal } from "./outcomes";
import { ALIVE, NOTIFICATIONS, USER_ERROR, type Failure, type Methods } from "./protocol";
import { Problem, sentence } from "./sentences";

/** How the sidecar's process is started. Asked anew at each start, because settings change. */
export interface Launch {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  /** A debugger holds it: silence is no fault. */
  readonly held?: boolean;
}

/** What the editor is told of an open file. */
export interface Told {
  readonly uri: vscode.Uri;
  readonly diagnostics: readonly vscode.Diagnostic[];
  /** Shows those of them that are to be shown. */
  readonly show: (diagnostics: vscode.Diagnostic[]) => void;
}

/** Who hears what comes from the process. */
export interface Hearers {
  readonly answers: ReadonlyMap<string, (params: never, token: vscode.CancellationToken) => Promise<unknown>>;
  readonly notified: (name: string, params: unknown) => void;
  readonly told: (told: Told) => void;
  /** The process ended, or its end was seen to, without being asked to. */
  readonly ended: () => void;
}

/** For a start: longer ones were never seen, on a busy machine either. */
const START = 120_000;
/** For an end that was asked for. */
const END = 2_000;

export class Connection {
  private fault: Problem | undefined;
  private readonly heart: Heartbeat;

  private constructor(
    private readonly client: LanguageClient,
    private readonly child: () => ChildProcess | undefined,
    private readonly log: vscode.LogOutputChannel,
    watched: boolean,
  ) {
    this.heart = new Heartbeat(
      () => this.client.sendRequest(ALIVE),
      () => { this.giveUp("has not answered", silent()); },
      watched ? LIMITS : { ...LIMITS, silent: 2 ** 31 - 1 - LIMITS.grace },
    );
  }

  /** Raises a Problem where the process can't be started. */
  static async open(launch: Launch, hearers: Hearers, log: vscode.LogOutputChannel): Promise<Connection> {
    const children: ChildProcess[] = [];
    const heart: { current?: Connection } = {};
    const client: LanguageClient = new QuietClient(
      "slipway",
      "Slipway",
      () => {
        const child = spawn(launch.command, launch.args, { cwd: launch.cwd, env: launch.env, stdio: "pipe", windowsHide: true });
        child.once("error", (error) => { log.error(error); });
        child.stderr.setEncoding("utf8").on("data", (text: string) => { log.append(text); });
        children.push(child);
        const frames = new Frames(
          (text) => { log.warn(`The sidecar's output held what is no message: ${shown(text)}`); },
          () => { heart.current?.heart.heard(); },
        );
        return Promise.resolve({ reader: child.stdout.pipe(frames), writer: child.stdin, detached: true });
      },
      {
        documentSelector: [{ scheme: "file", pattern: "**/infra/**/*.json" }, { scheme: "file", pattern: "**/infra/provision/*.bicep" }, { scheme: "file", pattern: "**/infra/**/*.bicepparam" }],
        // The sentences of LSP's own messages are put into the person's language on the other side: they have no keys there.
        initializationOptions: { catalogue: vscode.l10n.bundle ?? {}, tellsSyntax: true, tellsSchema: true },
        middleware: {
          didChange: (event, next) => {
            heart.current?.heart.beat();
            return next(event);
          },
          handleDiagnostics: (uri, diagnostics, next) => {
            hearers.told({ uri, diagnostics, show: (left) => { next(uri, left); } });
          },
        },
        outputChannel: log,
        traceOutputChannel: untraced(log),
        revealOutputChannelOn: RevealOutputChannelOn.Never,
        initializationFailedHandler: () => false,
        errorHandler: {
          error: (error) => {
            // What could not be read is lost, and whoever waits for it would wait for ever.
            heart.current?.giveUp(`could not be understood (${error.message})`, garbled());
            return { action: ErrorAction.Continue, handled: true };
          },
          closed: () => {
            heart.current?.heart.stop();
            hearers.ended();
            return { action: CloseAction.DoNotRestart, handled: true, message: "The sidecar's process ended." };
          },
        },
      },
    );
    for (const [method, handler] of hearers.answers) client.onRequest(method, handler);
    for (const name of NOTIFICATIONS) client.onNotification(name, (params: unknown) => { hearers.notified(name, params); });
    const connection = new Connection(client, () => children.at(-1), log, launch.held !== true);
    const late = setTimeout(() => { children.at(-1)?.kill("SIGKILL"); }, START);
    try {
      await client.start();
    } catch (error) {
      for (const child of children) child.kill();
      throw new Problem(
        sentence("Slipway's background process could not be started."),
        sentence("The log shows what it said. Reloading the window tries again."),
        String(error),
      );
    } finally {
      clearTimeout(late);
    }
    heart.current = connection;
    log.info(`Sidecar started (process ${String(children.at(-1)?.pid)})`);
    return connection;
  }

  /** Sends a request; a failure is a Refusal, Cancelled or a Problem. */
  async ask<M extends keyof Methods>(method: M, params: Methods[M]["params"], token?: vscode.CancellationToken): Promise<Methods[M]["result"]> {
    try {
      return await this.heart.during(this.client.sendRequest<Methods[M]["result"]>(method, params, token ?? new vscode.CancellationTokenSource().token));
    } catch (error) {
      throw translate(error, method, this.fault);
    }
  }

  /** Ends the process; one that does not go by itself is ended. */
  async close(): Promise<void> {
    this.heart.stop();
    const child = this.child();
    const late = setTimeout(() => { child?.kill("SIGKILL"); }, END);
    child?.once("exit", () => { clearTimeout(late); });
    if (child?.exitCode !== null || child.signalCode !== null) clearTimeout(late);
    await this.client.dispose();
  }

  /** It is there and of no use: it is ended, and whoever waits for it hears why. */
  private giveUp(what: string, fault: Problem): void {
    if (this.fault !== undefined) return;
    this.fault = fault;
    this.log.warn(`The sidecar ${what}: it is ended.`);
    this.child()?.kill("SIGKILL");
  }
}

/** A message that lost its header may hold a key: it is not shown. */
function shown(text: string): string {
  return /jsonrpc|apiKey|token/i.test(text) ? `${String(text.length)} characters that may be part of a message` : text.slice(0, 200);
}

/** The log as the protocol's tracer sees it: never at Trace. Tokens and keys pass between the two, and would be in the file. */
function untraced(log: vscode.LogOutputChannel): vscode.LogOutputChannel {
  const never: vscode.Event<vscode.LogLevel> = () => new vscode.Disposable(() => undefined);
  // Not a proxy of the log itself: VS Code freezes it, and what is frozen can't be answered otherwise.
  return new Proxy({} as vscode.LogOutputChannel, {
    get(_, name): unknown {
      if (name === "logLevel") return vscode.LogLevel.Info;
      if (name === "onDidChangeLogLevel") return never;
      return Reflect.get(log, name, log);
    },
  });
}

/** Writes what goes wrong into the log only: whoever asked shows one notification, in plain words. */
class QuietClient extends LanguageClient {
  override error(message: string, data?: unknown): void {
    super.error(message, data, false);
  }
}

/** `fault`: for which the process was ended. */
function translate(error: unknown, method: string, fault: Problem | undefined): unknown {
  if (error instanceof ResponseError) {
    const failure = error.data as Failure | undefined;
    const cancelled = error.code === LSPErrorCodes.RequestCancelled || (error.code === USER_ERROR && failure?.code === "Cancelled");
    if (cancelled) return new Cancelled(failure?.message === undefined ? undefined : new Refusal(failure));
    if (error.code === USER_ERROR && failure !== undefined) return new Refusal(failure);
    if (error.code !== ErrorCodes.PendingResponseRejected) {
      return new Problem(
        sentence("Slipway's background process could not handle {request}.", { request: method }),
        sentence("This is a defect in Slipway; the log helps to find it."),
        `${String(error.code)} ${error.message}`,
      );
    }
  }
  if (error instanceof ConnectionError || error instanceof ResponseError) return fault ?? gone();
  // vscode-jsonrpc throws plain errors for a connection that is gone; their words are all that tells them apart.
  return error instanceof Error && /connection|disposed|stopp|not running/i.test(error.message) ? (fault ?? gone()) : error;
}

function gone(): Problem {
  return new Problem(
    sentence("Slipway's background process ended while it was working."),
    sentence("It is being started again. What was begun in the cloud goes on there: run the command again to follow it."),
  );
}

function silent(): Problem {
  return new Problem(
    sentence("Slipway's background process did not answer for {seconds} seconds, so it was ended.", { seconds: String(LIMITS.silent / 1000) }),
    sentence("It is being started again. What was begun in the cloud goes on there: run the command again to follow it."),
  );
}

function garbled(): Problem {
  return new Problem(
    sentence("Slipway's background process sent what could not be read, so it was ended."),
    sentence("It is being started again. What was begun in the cloud goes on there: run the command again to follow it."),
  );
}
