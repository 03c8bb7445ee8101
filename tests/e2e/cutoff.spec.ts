// A Provision that is cancelled, and one whose sidecar is killed, in a real VS Code: what the person reads, and how it goes on.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { PACKAGES_ARE_THERE } from "./deployed";
import { eventually } from "./eventually";
import { fineTuningBegan } from "./finetuning";
import type { Host } from "./host";
import { Stage } from "./stage";
import type { Window } from "./window";

const PROVISION = "Provision Azure Container Apps for inference";

describe("a Provision that does not come to its end, in a real VS Code", function () {
  this.timeout(600_000);
  const stage = Stage.of("cut");
  let host: Host;
  let provisioned: Window | undefined;
  let traffic: string;

  before(async () => {
    traffic = stage.project("traffic"); // of its own: its lines are counted
    // An environment takes forty seconds to be made: long enough to be met in the middle, twice, on a busy machine.
    host = await stage.start({ settings: PACKAGES_ARE_THERE, cloud: { times: { scale: 0.02, cooldown_scale: 0.02, environment: 2000 } }, env: { SLIPWAY_LOCAL_RECORD: traffic } });
  });

  async function begun(name: string): Promise<{ folder: string; window: Window }> {
    const folder = path.join(stage.scratch, name);
    const place = fineTuningBegan(`rg-${name}`, host.env);
    mkdirSync(path.join(folder, "infra"), { recursive: true });
    writeFileSync(path.join(folder, "infra/finetuning.config.json"), JSON.stringify({ ...place, STORAGE_ACCOUNT_NAME: null, FILE_SHARE_NAME: null, ACA_JOB_NAME: null, COMMANDS: null }));
    const window = await host.open(folder);
    await window.run("AI Toolkit: Create project files");
    await window.notification(/project files were created/).waitFor({ timeout: 240_000 });
    await window.clearNotifications();
    await window.run(`AI Toolkit: ${PROVISION}`);
    await window.choose("Runs on this machine");
    await window.choose(`rg-${name}`);
    await window.press("The plan is open", "Apply plan");
    await window.step(PROVISION, /Microsoft\.\S+ \S+: (Running|Succeeded)/);
    return { folder, window };
  }

  function config(folder: string): Readonly<Record<string, unknown>> {
    return JSON.parse(readFileSync(path.join(folder, "infra/inference.config.json"), "utf8")) as Readonly<Record<string, unknown>>;
  }

  it("Cancel ends it within seconds, in the cloud too, and the person reads what exists", async () => {
    const { folder, window } = await begun("cancelled");
    const began = Date.now();
    await window.press(`${PROVISION} (`, "Cancel");
    const told = window.notification(/The deployment slipway-inference-\w+ was cancelled\. Already made: /);
    await told.waitFor({ timeout: 90_000 });
    process.stdout.write(`      cancelled after ${((Date.now() - began) / 1000).toFixed(1)} s\n`);
    await window.screenshot("provision cancelled");
    const text = (await told.innerText()).replaceAll(/\s+/g, " ");
    assert.match(text, /Already made: .*aistorage.*Begun, and ended by the cloud itself: aienv\w+\. Run Provision again to complete it; what exists is kept\./);
    assert.ok(Object.values(config(folder)).every((value) => value === null));
    await window.page.close();
  });

  it("a sidecar that is killed is told with three ways on, and going on asks nothing and finishes it", async () => {
    const { folder, window } = await begun("killed");
    process.kill(window.sidecar, "SIGKILL");
    const offer = window.notification("Provisioning for killed was cut off at");
    await offer.waitFor({ timeout: 120_000 });
    for (const button of ["Go on", "Cancel it", "Discard"]) assert.ok(await offer.getByRole("button", { name: button }).isVisible(), button);
    await window.screenshot("provision cut off");
    assert.match(await offer.innerText(), /What was begun goes on in the cloud; Provision finds it, and follows it\./);
    await window.press("Provisioning for killed was cut off at", "Go on");
    await window.notification("Provisioned.").waitFor({ timeout: 240_000 });
    assert.equal(await window.question.isVisible(), false);
    assert.ok(window.log.includes("is under way already: following it"), "the run that was begun is followed");
    await window.screenshot("provision gone on");
    assert.ok(Object.values(config(folder)).every((value) => typeof value === "string" && value !== ""));
    provisioned = window;
  });

  it("of what sleeps nothing is asked while its view is open, and nothing wakes it", async () => {
    const window = provisioned ?? assert.fail("nothing was provisioned");
    const view = await window.showView();
    await eventually("it sleeps", 120_000, async () => {
      await window.run("AI Toolkit: Refresh");
      await view.getByRole("treeitem", { name: /^Last looked at/ }).waitFor();
      return view.getByRole("treeitem", { name: "State: asleep (the first request wakes it)" }).isVisible();
    });
    await view.getByRole("treeitem", { name: /^Cost now: .* nothing for a GPU: no replica is awake$/ }).waitFor();
    await window.screenshot("asleep");
    const requests = (): number => readdirSync(traffic).reduce((sum, each) => sum + readFileSync(path.join(traffic, each), "utf8").split("\n").length - 1, 0);
    let [before, same] = [0, 0];
    await eventually("the last look has ended", 90_000, () => {
      same = requests() === before ? same + 1 : 0;
      before = requests();
      return same > 20;
    });
    // What must not happen has a time in which it would: while a replica starts the view looks every five seconds.
    await window.page.waitForTimeout(12_000);
    assert.equal(requests(), before, "the view has asked by itself");
    await window.run("AI Toolkit: Refresh");
    await eventually("a look is counted", 90_000, () => requests() > before);
    await view.getByRole("treeitem", { name: "State: asleep (the first request wakes it)" }).waitFor();
  });
});
