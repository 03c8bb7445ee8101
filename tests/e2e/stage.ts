// What the tests of a `describe` begin on: a throw-away folder and a VS Code of its own, both gone after them.
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { Host, type HostOptions } from "./host";

export class Stage {
  private folder: string | undefined;
  private host: Host | undefined;

  /** To be called in a `describe`, before its own hooks: the folder is there before them, and what a failed test showed is kept. */
  static of(name: string): Stage {
    const stage = new Stage();
    before(() => {
      stage.folder = mkdtempSync(path.join(realpathSync(tmpdir()), `sw-${name}-`));
    });
    after(async () => {
      await stage.host?.stop();
      rmSync(stage.scratch, { recursive: true, force: true });
    });
    afterEach(async function () {
      await stage.host?.keepEvidence(this.currentTest);
    });
    return stage;
  }

  get scratch(): string {
    if (this.folder === undefined) throw new Error("the stage is set by a hook, which has not run yet");
    return this.folder;
  }

  /** An empty folder in it. */
  project(name: string): string {
    const folder = path.join(this.scratch, name);
    mkdirSync(folder);
    return folder;
  }

  async start(options: HostOptions = {}): Promise<Host> {
    this.host = await Host.start(options);
    return this.host;
  }
}
