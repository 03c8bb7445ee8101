// A Deploy that a person looks away from: the window is reloaded amid it, and another window of the same folder deploys too.
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { deployed, PACKAGES_ARE_THERE, provisioned } from "./deployed";
import type { Host } from "./host";
import { startingSlowly } from "./releases";
import { Stage } from "./stage";
import type { Window } from "./window";

const DEPLOY = "Deploy for inference";
const AMID = /Starting release|Installing dependencies|Loading|Trying|Replica|Waiting/;

describe("one project and several windows", function () {
  this.timeout(600_000);
  const stage = Stage.of("windows");
  let folder: string;
  let host: Host;
  let window: Window;

  before(async () => {
    folder = stage.project("fine-tuned");
    host = await stage.start({ settings: PACKAGES_ARE_THERE });
    await provisioned(folder, "rg-windows", host.env);
    await deployed(folder, host.env);
    window = await host.open(folder);
  });

  it("a window that is reloaded amid a Deploy tells of it, and goes on to its end", () => startingSlowly(folder, async (goOn) => {
    await window.run(`AI Toolkit: ${DEPLOY}`);
    await window.step(DEPLOY, AMID);
    await window.page.reload();
    const told = /A deployment of fine-tuned was cut off at/;
    await window.notification(told).waitFor({ timeout: 120_000 });
    await window.screenshot("windows 1 reloaded");
    await window.press(told, "Go on");
    goOn();
    await window.notification("Deployed: the model answers").waitFor({ timeout: 240_000 });
    await window.clearNotifications();
  }));

  it("of two windows that deploy, one is told that the other one's code serves", async () => {
    const entry = path.join(folder, "inference/__main__.py");
    const good = readFileSync(entry, "utf8");
    await startingSlowly(folder, async () => {
      await window.run(`AI Toolkit: ${DEPLOY}`);
      await window.step(DEPLOY, AMID);
      writeFileSync(entry, good);
      appendFileSync(entry, "# the other window's\n");
      const other = await host.open(folder);
      await other.run(`AI Toolkit: ${DEPLOY}`);
      await other.notification("Deployed: the model answers").waitFor({ timeout: 240_000 });
      await other.screenshot("windows 2 the other one");
      await window.notification(/somebody else has deployed meanwhile\. Release \w+ goes on serving\./i).waitFor({ timeout: 240_000 });
      await window.screenshot("windows 3 is told");
      await other.close();
    });
  });
});
