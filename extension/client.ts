// The sidecar: its process, and the only way to talk to it.
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
import { NOTIFICATIONS, USER_ERROR, type Callbacks, type Failure, type Methods, type Notifications } from "./protocol";
import { Problem, sentence } from "./sentences";

/** How the sidecar's process is started. Asked anew at each start, because settings change. */
export interface Launch {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
}

/** What the editor is told of an open file. */
export interface Told {
  readonly uri: vscode.Uri;
  readonly diagnostics: readonly vscode.Diagnostic[];
}

/** What the sidecar refuses for a reason that a person is told about. */
export class Refusal extends Problem {
  constructor(readonly failure: Failure) {
    super(failure.message, failure.suggestion ?? undefined, failure.detail ?? undefined);
    this.name = "Refusal";
  }
}

/** The person stopped the request; the outcome says what is left running, where the sidecar knows. */
export class Cancelled extends Error {
  constructor(readonly outcome: Refusal | undefined) {
    super(outcome?.message ?? "Cancelled");
    this.name = "Cancelled";
  }
}

const CRASHES_FORGIVEN = 4;
const CRASHES_FORGOTTEN_AFTER = 180_000;
const FIRST_DELAY = 500;

/** Starts on the first question, starts again after a crash, and keeps the handlers across starts. */
export class Sidecar implements vscode.Disposable {
  private client: Promise<LanguageClient> | undefined;
  private restarting: Promise<void> | undefined;
  private again = false;
  private crashes: readonly number[] = [];
  private timer: NodeJS.Timeout | undefined;
  private starting = new AbortController();
  private stopped = false;
  private readonly answers = new Map<string, (params: never, token: vscode.CancellationToken) => Promise<unknown>>();
  private readonly listeners = new Map<string, Set<(params: never) => void>>();
  private readonly alive = new vscode.EventEmitter<boolean>();
  private readonly told = new vscode.EventEmitter<Told>();
  /** What is wrong in a file that is open, each time it is looked at. */
  readonly onDidTell = this.told.event;
  /** True when a process answers, false when it ended without being asked to. */
  readonly onDidChangeAlive = this.alive.event;

  constructor(
    private readonly launch: (stop: AbortSignal) => Promise<Launch>,
    private readonly log: vscode.LogOutputChannel,
    private readonly gaveUp: (problem: Problem) => void,
  ) {}

  /** Sends a request; a failure is a Refusal, Cancelled or a Problem. */
  async ask<M extends keyof Methods>(method: M, params: Methods[M]["params"], token?: vscode.CancellationToken): Promise<Methods[M]["result"]> {
    const client = await this.start();
    try {
      return await client.sendRequest<Methods[M]["result"]>(method, params, token ?? new vscode.CancellationTokenSource().token);
    } catch (error) {
      throw translate(error, method);
    }
  }

  /** Answers the sidecar's requests of one kind, now and after every restart. */
  answer<M extends keyof Callbacks>(method: M, handler: (params: Callbacks[M]["params"], token: vscode.CancellationToken) => Promise<Callbacks[M]["result"]>): void {
    this.answers.set(method, handler);
  }

  /** Hears the sidecar's notifications of one kind, now and after every restart. */
  on<N extends keyof Notifications>(name: N, hear: (params: Notifications[N]["params"]) => void): vscode.Disposable {
    const listeners = this.listeners.get(name) ?? new Set();
    this.listeners.set(name, listeners.add(hear));
    return new vscode.Disposable(() => listeners.delete(hear));
  }

  /** Stops and starts. Asked again meanwhile, it does so exactly once more. */
  async restart(): Promise<void> {
    if (this.restarting !== undefined) {
      this.again = true;
      return this.restarting;
    }
    const work = async (): Promise<void> => {
      do {
        this.again = false;
        await this.stop();
        await this.start();
      } while (this.again as boolean);
    };
    this.restarting = work().finally(() => (this.restarting = undefined));
    return this.restarting;
  }

  get isRunning(): boolean {
    return this.client !== undefined;
  }

  /** Ends the process; work that Azure has begun goes on there. */
  async stop(): Promise<void> {
    clearTimeout(this.timer);
    const client = this.client;
    this.client = undefined;
    if (client === undefined) return;
    // A set-up that is under way takes minutes, and VS Code waits for seconds: pip would go on by itself.
    this.starting.abort();
    try {
      await (await client).dispose();
    } catch (error) {
      this.log.debug(`The sidecar did not stop in good order: ${String(error)}`);
    }
  }

  dispose(): void {
    this.stopped = true;
    this.alive.dispose();
    this.told.dispose();
    void this.stop();
  }

  private async start(): Promise<LanguageClient> {
    if (this.stopped) throw new Problem(sentence("Slipway is being shut down."));
    clearTimeout(this.timer);
    const client = (this.client ??= this.connect());
    try {
      return await client;
    } catch (error) {
      if (this.client === client) this.client = undefined;
      throw error;
    }
  }

  private async connect(): Promise<LanguageClient> {
    this.starting = new AbortController();
    const launch = await this.launch(this.starting.signal);
    const children: ChildProcess[] = [];
    const client: LanguageClient = new QuietClient(
      "slipway",
      "Slipway",
      () => {
        const child = spawn(launch.command, launch.args, { cwd: launch.cwd, env: launch.env, stdio: "pipe", windowsHide: true });
        child.once("error", (error) => { this.log.error(error); });
        children.push(child);
        return Promise.resolve(child);
      },
      {
        documentSelector: [{ scheme: "file", pattern: "**/infra/**/*.json" }, { scheme: "file", pattern: "**/infra/provision/*.bicep" }],
        // The sentences of LSP's own messages are put into the person's language on the other side: they have no keys there.
        initializationOptions: { catalogue: vscode.l10n.bundle ?? {}, tellsSyntax: true },
        middleware: {
          handleDiagnostics: (uri, diagnostics, next) => {
            this.told.fire({ uri, diagnostics });
            next(uri, diagnostics);
          },
        },
        outputChannel: this.log,
        traceOutputChannel: untraced(this.log),
        revealOutputChannelOn: RevealOutputChannelOn.Never,
        initializationFailedHandler: () => false,
        errorHandler: {
          error: () => ({ action: ErrorAction.Continue, handled: true }),
          closed: () => {
            this.ended(client);
            return { action: CloseAction.DoNotRestart, handled: true, message: "The sidecar's process ended." };
          },
        },
      },
    );
    for (const [method, handler] of this.answers) client.onRequest(method, handler);
    for (const name of NOTIFICATIONS) {
      client.onNotification(name, (params: unknown) => {
        for (const hear of this.listeners.get(name) ?? []) hear(params as never);
      });
    }
    try {
      await client.start();
    } catch (error) {
      for (const child of children) child.kill();
      throw new Problem(
        sentence("Slipway's background process could not be started."),
        sentence("The log shows what it said. Reloading the window tries again."),
        String(error),
      );
    }
    this.log.info(`Sidecar started (process ${String(children.at(-1)?.pid)})`);
    this.alive.fire(true);
    return client;
  }

  /** A process that ended by itself is started again, later each time; after too many, a person is asked. */
  private ended(client: LanguageClient): void {
    const current = this.client;
    if (current === undefined || this.stopped) return;
    void current.then(
      (running) => {
        if (running !== client || this.client !== current) return;
        this.client = undefined;
        this.alive.fire(false);
        const now = Date.now();
        this.crashes = [...this.crashes.filter((at) => now - at < CRASHES_FORGOTTEN_AFTER), now];
        if (this.crashes.length > CRASHES_FORGIVEN) {
          this.crashes = [];
          this.gaveUp(new Problem(sentence("Slipway's background process ended several times in a row."), sentence("The log shows what it said before it ended.")));
          return;
        }
        const delay = FIRST_DELAY * 2 ** (this.crashes.length - 1);
        this.log.warn(`The sidecar ended unexpectedly; it is started again in ${delay} ms.`);
        this.timer = setTimeout(() => {
          this.start().catch((error: unknown) => { this.log.error(String(error)); });
        }, delay);
      },
      // It ended while it was starting: whoever waits for the start hears of it.
      () => undefined,
    );
  }
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

function translate(error: unknown, method: string): unknown {
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
  if (error instanceof ConnectionError || error instanceof ResponseError) return gone();
  // vscode-jsonrpc throws plain errors for a connection that is gone; their words are all that tells them apart.
  return error instanceof Error && /connection|disposed|stopp|not running/i.test(error.message) ? gone() : error;
}

function gone(): Problem {
  return new Problem(
    sentence("Slipway's background process ended while it was working."),
    sentence("It is being started again. What was begun in the cloud goes on there: run the command again to follow it."),
  );
}
