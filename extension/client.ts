// The sidecar: its process, and the only way to talk to it.
import * as vscode from "vscode";
import type { Connection, Launch, Told } from "./connection";
import type { Callbacks, Methods, Notifications } from "./protocol";
import { Problem, sentence } from "./sentences";

export { Cancelled, Refusal } from "./outcomes";
export type { Launch, Told } from "./connection";

const CRASHES_FORGIVEN = 4;
const CRASHES_FORGOTTEN_AFTER = 180_000;
const FIRST_DELAY = 500;

/** Starts on the first question, starts again after a crash, and keeps the handlers across starts. */
export class Sidecar implements vscode.Disposable {
  private client: Promise<Connection> | undefined;
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
    return client.ask(method, params, token);
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
      await (await client).close();
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

  private async start(): Promise<Connection> {
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

  private async connect(): Promise<Connection> {
    this.starting = new AbortController();
    // What speaks the protocol is loaded while the interpreter is looked for: a window that asks nothing needs none of it.
    const [launch, { Connection: Connected }] = await Promise.all([this.launch(this.starting.signal), import("./connection")]);
    const opened: { connection?: Connection } = {};
    opened.connection = await Connected.open(
      launch,
      {
        answers: this.answers,
        notified: (name, params) => {
          for (const hear of this.listeners.get(name) ?? []) hear(params as never);
        },
        told: (told) => { this.told.fire(told); },
        ended: () => { this.ended(() => opened.connection); },
      },
      this.log,
    );
    this.alive.fire(true);
    return opened.connection;
  }

  /** A process that ended by itself is started again, later each time; after too many, a person is asked. */
  private ended(which: () => Connection | undefined): void {
    const current = this.client;
    if (current === undefined || this.stopped) return;
    void current.then(
      (running) => {
        if (running !== which() || this.client !== current) return;
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
