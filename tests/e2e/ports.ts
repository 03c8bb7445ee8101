// A port for a process that is still to begin: below those that the system, and the local cloud, give to others meanwhile.
import { randomInt } from "node:crypto";
import { createServer } from "node:net";

const FIRST = 12_000;
const END = 20_000;

export async function freePort(): Promise<number> {
  const port = randomInt(FIRST, END);
  const free = await new Promise<boolean>((resolve, reject) => {
    const probe = createServer();
    probe.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE") resolve(false);
      else reject(error);
    });
    probe.listen(port, "127.0.0.1", () => { probe.close(() => { resolve(true); }); });
  });
  return free ? port : freePort();
}
