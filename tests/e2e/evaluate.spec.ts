// Evaluate in a real VS Code: a verdict that is known, the report as a page, two answers that differ beside it.
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { deployed, PACKAGES_ARE_THERE, provisioned } from "./deployed";
import { sampleQuestions } from "./finetuning";
import { Host } from "./host";
import type { Window } from "./window";

const EVALUATE = "AI Toolkit: Evaluate inference endpoint";
const VERDICT = /gpu_model is better than slipway\/tiny-llama\. chrF: 100\.0 against/;

describe("Evaluate in a real VS Code", function () {
  this.timeout(600_000);
  let scratch: string;
  let folder: string;
  let host: Host;
  let window: Window;

  before(async () => {
    scratch = mkdtempSync(path.join(realpathSync(tmpdir()), "sw-evaluate-"));
    folder = path.join(scratch, "fine-tuned");
    host = await Host.start({ settings: PACKAGES_ARE_THERE, cloud: { times: { scale: 0.02, cooldown_scale: 1 } } });
    await provisioned(folder, "rg-evaluate", host.env);
    await deployed(folder, host.env);
    window = await host.open(folder);
  });
  after(async () => {
    await host.stop();
    rmSync(scratch, { recursive: true, force: true });
  });
  afterEach(async function () {
    await host.keepEvidence(this.currentTest);
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
});
