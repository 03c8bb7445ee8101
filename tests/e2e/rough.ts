// A Python whose sidecar can be disturbed from outside: see tests/faults/rough_sidecar.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { eventually } from "./eventually";
import { root } from "./host";

export class RoughPython {
  private constructor(private readonly home: string) {}

  /** An environment that sees the packages of `.venv`. */
  static in(home: string): RoughPython {
    const made = spawnSync(path.join(root, ".venv/bin/python"), ["-m", "venv", "--without-pip", home], { encoding: "utf8" });
    if (made.status !== 0) throw new Error(made.stderr);
    const version = readdirSync(path.join(home, "lib"))[0] ?? "";
    const seen = path.join(root, ".venv/lib", version, "site-packages");
    const lines = [`import site; site.addsitedir(${JSON.stringify(seen)})`, `import sys; sys.path.insert(0, ${JSON.stringify(path.join(root, "tests/faults/rough_sidecar"))})`, "import rough_stdout"];
    writeFileSync(path.join(home, "lib", version, "site-packages/rough.pth"), `${lines.join("\n")}\n`);
    mkdirSync(path.join(home, "rough"));
    return new RoughPython(home);
  }

  get interpreter(): string {
    return path.join(this.home, "bin/python");
  }

  /** What each process prints before anything else; empty for nothing. */
  begins(text: string): void {
    if (text === "") rmSync(this.file("first"));
    else writeFileSync(this.file("first"), text);
  }

  /** Whether a process that is started goes on. */
  hangs(really: boolean): void {
    if (really) writeFileSync(this.file("hang"), "");
    else rmSync(this.file("hang"));
  }

  /** Has the running process write this to where the window reads. */
  async says(data: string): Promise<void> {
    writeFileSync(this.file("new"), data);
    renameSync(this.file("new"), this.file("say"));
    await eventually("it is said", 60_000, () => !existsSync(this.file("say")));
  }

  private file(name: string): string {
    return path.join(this.home, "rough", name);
  }
}

/** A message as it passes over the pipe. */
export function framed(body: string): string {
  return `Content-Length: ${String(Buffer.byteLength(body))}\r\n\r\n${body}`;
}
