// Evaluate in a real VS Code: a verdict that is known, the report as a page, two answers that differ beside it.
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import type { Locator } from "playwright-core";
import { deployed, PACKAGES_ARE_THERE, provisioned } from "./deployed";
import { eventually } from "./eventually";
import { sampleQuestions } from "./finetuning";
import type { Host } from "./host";
import { Stage } from "./stage";
import type { Window } from "./window";

const EVALUATE = "AI Toolkit: Evaluate inference endpoint";
const VERDICT = /gpu_model is better than slipway\/tiny-llama\. chrF: 100\.0 against/;

describe("Evaluate in a real VS Code", function () {
  this.timeout(600_000);
  let folder: string;
  let host: Host;
  const stage = Stage.of("evaluate");
  let window: Window;

  before(async () => {
    folder = path.join(stage.scratch, "fine-tuned");
    host = await stage.start({ settings: PACKAGES_ARE_THERE, cloud: { times: { scale: 0.02, cooldown_scale: 1 } } });
    await provisioned(folder, "rg-evaluate", host.env);
    await deployed(folder, host.env);
    window = await host.open(folder);
  });

  it("without a data set it says how one is made", async () => {
    await window.run(EVALUATE);
    await window.page.getByText("There is no data set: neither infra/evaluation.jsonl nor infra/smoke.json").first().waitFor({ timeout: 120_000 });
    await window.clearNotifications();
  });

  it("the report is opened with its verdict, and beside it two answers that differ", async () => {
    const rows = sampleQuestions(process.env).map(({ question, adapter }) => JSON.stringify({ prompt: question, expected: adapter }));
    writeFileSync(path.join(folder, "infra", "evaluation.jsonl"), `${rows.join("\n")}\n`);
    await window.run(EVALUATE);
    await window.page.locator(".notification-toast").filter({ hasText: VERDICT }).waitFor({ timeout: 240_000 });
    await window.page.locator(".tab").filter({ hasText: "report.md" }).waitFor({ timeout: 90_000 });
    await window.page.locator(".tab").filter({ hasText: "slipway/tiny-llama and gpu_model" }).waitFor({ timeout: 90_000 });
    await window.page.locator(".diff-editor, .monaco-diff-editor").first().waitFor({ timeout: 90_000 });
    await window.screenshot("evaluate 1 report and two answers");
    const around = path.join(folder, "infra", "evaluations");
    const [run] = readdirSync(around).filter((name) => !name.startsWith("."));
    assert.match(readFileSync(path.join(around, String(run), "report.md"), "utf8"), VERDICT);
  });

  it("other answers are compared as they are chosen", async () => {
    await window.press(VERDICT, "Compare other answers");
    await window.choose("Who are you?");
    await window.page.locator(".tab").filter({ hasText: "evaluation.jsonl:2: slipway/tiny-llama and gpu_model" }).waitFor({ timeout: 90_000 });
    await window.page.locator(".monaco-diff-editor").getByText("pirate").first().waitFor({ timeout: 90_000 });
    await window.screenshot("evaluate 2 other answers");
  });

  it("rows are tests: asked all together, then one by one, and a wrong one shows what was expected", async () => {
    const around = path.join(folder, "infra", "evaluations");
    const runs = (): readonly string[] => readdirSync(around).filter((name) => !name.startsWith("."));
    const before = runs();
    const good = sampleQuestions(process.env).map(({ question, adapter }) => JSON.stringify({ prompt: question, expected: adapter, contains: adapter }));
    writeFileSync(path.join(folder, "infra", "evaluation.jsonl"), `${[...good, JSON.stringify({ prompt: "Who are you?", equals: "A parrot." })].join("\n")}\n`);
    await window.run("Testing: Focus on Test Explorer View");
    await window.run("Test: Refresh Tests");
    const row = (text: RegExp): Locator => window.page.locator(".test-explorer .monaco-list-row").filter({ hasText: text });
    await row(/fine-tuned/).first().waitFor({ timeout: 90_000 });
    await window.run("Test: Run All Tests");
    await window.page.locator(".test-explorer").getByText("6/7").first().waitFor({ timeout: 240_000 });
    assert.equal(runs().length, before.length + 1);
    await row(/fine-tuned/).first().click();
    await window.page.keyboard.press("ArrowRight");
    const parrot = row(/Who are you/).last();
    await parrot.waitFor({ timeout: 90_000 });
    await window.screenshot("evaluate 3 test explorer");
    const marked = await parrot.getAttribute("aria-label");
    assert.match(String(marked), /Failed/);
    await parrot.hover();
    await parrot.locator(".codicon-testing-run-icon").click();
    await eventually("one row is asked", 240_000, () => {
      const newest = runs().toSorted().at(-1);
      const report = path.join(around, String(newest), "report.json");
      return Promise.resolve(runs().length === before.length + 2 && existsSync(report) && (JSON.parse(readFileSync(report, "utf8")) as { rows: unknown[] }).rows.length === 1);
    });
  });

  it("an expression that comes to no end is named with its row, and holds nothing up", async () => {
    const endless = String.raw`^(([a-zA-Z ,.']+)+)+!$`;
    writeFileSync(path.join(folder, "infra", "evaluation.jsonl"), `${JSON.stringify({ prompt: "Who are you?", regex: endless })}\n`);
    await window.run(EVALUATE);
    const told = window.page.locator(".notification-toast").filter({ hasText: "had not come to an end after 3 s" });
    await told.waitFor({ timeout: 240_000 });
    assert.ok((await told.innerText()).includes("infra/evaluation.jsonl:1"));
    await window.screenshot("evaluate 4 an expression without an end");
  });
});
