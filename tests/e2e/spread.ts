// An ingress as awkward as one can be: each request goes to the next of several servers, whatever the one before got.
import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export class Spread {
  /** How many requests each server got. */
  readonly asked: number[];
  private readonly server: Server;
  private next = 0;

  private constructor(private readonly urls: readonly string[]) {
    this.asked = urls.map(() => 0);
    this.server = createServer((asked, answer) => { this.pass(asked, answer); });
  }

  static async over(...urls: readonly string[]): Promise<Spread> {
    const made = new Spread(urls);
    await new Promise<void>((resolve) => made.server.listen(0, "127.0.0.1", resolve));
    return made;
  }

  get url(): string {
    return `http://127.0.0.1:${String((this.server.address() as AddressInfo).port)}`;
  }

  /** Only to this one from now on, as after an exchange of releases or when replicas are ended. */
  leave(index: number): void {
    this.urls.forEach((_, each) => { if (each !== index) this.gone.add(each); });
  }

  /** To all of them again. */
  comeBack(): void {
    this.gone.clear();
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private readonly gone = new Set<number>();

  private pass(asked: IncomingMessage, answer: ServerResponse): void {
    do this.next = (this.next + 1) % this.urls.length; while (this.gone.has(this.next));
    this.asked[this.next] = (this.asked[this.next] ?? 0) + 1;
    const to = request(new URL(asked.url ?? "/", this.urls[this.next]), { method: asked.method, headers: asked.headers, agent: false }, (given) => {
      answer.writeHead(given.statusCode ?? 502, given.headers);
      given.pipe(answer);
      given.on("error", () => answer.destroy());
    });
    to.on("error", () => answer.destroy());
    answer.on("close", () => to.destroy());
    asked.pipe(to);
  }
}
