// A Deploy with a gate in a real VS Code: missed, what the person reads and where that leads; then met.
import assert from "node:assert/strict";
import { appendFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { deployed, Others, PACKAGES_ARE_THERE, provisioned } from "./deployed";
import { eventually } from "./eventually";
import { sampleQuestions } from "./finetuning";
import type { Host } from "./host";
import { Stage } from "./stage";
import type { Window } from "./window";

const DEPLOY = "Deploy for inference";
const BASE = "slipway/tiny-llama";
const MISSED = /has not passed its gate/;

describe("A gate of Deploy in a real VS Code", function () {
  this.timeout(600_000);
  let folder: string;
  let host: Host;
  const stage = Stage.of("gate");
  let window: Window;
  let others: Others;
  let former: string;

  before(async () => {
    folder = path.join(stage.scratch, "fine-tuned");
    host = await stage.start({ settings: PACKAGES_ARE_THERE, cloud: { times: { scale: 0.02, cooldown_scale: 1 } } });
    await provisioned(folder, "rg-gate", host.env);
    await deployed(folder, host.env);
    others = await Others.of(folder, host.env);
    former = await others.release();
    // What the adapter was trained to answer, and the base answers otherwise.
    const rows = sampleQuestions(process.env).map(({ question, adapter }) => JSON.stringify({ prompt: question, expected: adapter }));
    writeFileSync(path.join(folder, "infra", "evaluation.jsonl"), `${rows.join("\n")}\n`);
    appendFileSync(path.join(folder, "inference", "__main__.py"), "# another release\n");
    window = await host.open(folder);
  });

  function demands(model: string): void {
    writeFileSync(path.join(folder, "infra", "evaluation.json"), `${JSON.stringify({ thresholds: [{ measure: "exact", model, bound: 0.95 }] })}\n`);
  }

  it("a threshold that is missed is told with its figures, and the old release goes on answering", async () => {
    demands(BASE);
    await window.run(`AI Toolkit: ${DEPLOY}`);
    await window.notification(MISSED).waitFor({ timeout: 240_000 });
    await window.screenshot("gate 1 missed");
    const told = await window.notification(MISSED).innerText();
    assert.match(told, /slipway\/tiny-llama, exact matches >= 0\.950: missed, it is 0\.000\./);
    assert.match(told, new RegExp(`Release ${former.slice(0, 12)} goes on serving`));
    assert.equal(await others.release(), former);
    assert.ok(window.said("missed, it is 0.000") > 0, "the log says it too");
    assert.ok(window.said("A release has to pass a gate: 1 thresholds of infra/evaluation.json") > 0, "and said before that there is one");
  });

  it("its report leads to the rows", async () => {
    await window.press(MISSED, "Open report");
    await window.page.locator(".tab").filter({ hasText: "report.md" }).waitFor({ timeout: 90_000 });
    await eventually("the report shows the rows", 90_000, async () => {
      const texts: string[] = [];
      for (const frame of window.page.frames()) texts.push(await frame.evaluate(() => document.body.innerText));
      return texts.some((text) => text.includes("Thresholds missed: 1 of 1.") && text.includes("infra/evaluation.jsonl:1"));
    });
    await window.screenshot("gate 2 report");
  });

  it("the view shows the release that serves, and nothing half done", async () => {
    const view = await window.showView();
    await view.getByText("Ready").first().waitFor({ timeout: 90_000 });
    await window.screenshot("gate 3 view");
    assert.equal(await view.getByText(/cut off/).count(), 0);
  });

  it("with the threshold met the same release goes through", async () => {
    demands("gpu_model");
    await window.run(`AI Toolkit: ${DEPLOY}`);
    await window.notification("Deployed: the model answers").waitFor({ timeout: 240_000 });
    const now = await others.release();
    assert.notEqual(now, former);
    await window.page.locator(".part.sidebar").getByText(now.slice(0, 12)).first().waitFor({ timeout: 90_000 });
    await window.screenshot("gate 4 met");
    assert.ok(window.said("has passed its gate: 1 thresholds met") > 0);
  });
});
