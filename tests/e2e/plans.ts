// The plan of a Provision in a real window: opened before anything is made; and again, when there is nothing to do.
import assert from "node:assert/strict";
import { readFileSync, statSync } from "node:fs";
import path from "node:path";
import { eventually } from "./eventually";
import type { Window } from "./window";

export async function planIsOpened(window: Window, group: string, config: () => Record<string, unknown>): Promise<void> {
  await window.choose(group);
  await window.notification(/Resources to create: \d+, to update: 0.*The plan is open: nothing has been changed yet\./).waitFor({ timeout: 120_000 });
  const page = await pageOf(window, "- PASS image");
  for (const said of ["# Plan for inference", "## Resources", "| create | microsoft.app/containerapps |", "The app gets its first revision", "infra/inference.config.json", "| an hour awake, one replica |", "These prices are made up"]) {
    assert.ok(page.includes(said), `${said} is not in\n${page}`);
  }
  assert.doesNotMatch(page, /your bill/i);
  assert.equal(config()["ACA_APP_NAME"], null, "nothing is written before the plan is agreed to");
  await window.screenshot("plan 1 opened");
}

export async function nothingIsToBeDone(window: Window, preselected: readonly string[], folder: string): Promise<void> {
  const file = path.join(folder, "infra/inference.config.json");
  const before = [readFileSync(file, "utf8"), statSync(file).mtimeMs];
  await window.clearNotifications();
  await window.run("AI Toolkit: Provision Azure Container Apps for inference");
  for (const each of preselected) {
    await window.choices(each).and(window.focused).waitFor({ timeout: 60_000 });
    await window.page.keyboard.press("Enter");
  }
  await window.notification("Nothing to do: everything is as the parameters state it.").waitFor({ timeout: 60_000 });
  const page = await pageOf(window, "Of a start:");
  assert.ok(page.includes("Nothing restarts; traffic stays as it is."), page);
  assert.doesNotMatch(page, /\| (create|update|delete) /);
  await window.screenshot("plan 2 nothing to do");
  assert.deepEqual([readFileSync(file, "utf8"), statSync(file).mtimeMs], before);
  await window.clearNotifications();
  await window.run("View: Close All Editors");
}

export async function planIsApplied(window: Window, title: string): Promise<void> {
  await window.press("The plan is open", "Apply plan");
  await window.step(title, /show log\): .+…/);
  assert.ok(await window.notification(title).getByRole("button", { name: "Cancel" }).isVisible());
  await window.screenshot("provision 5 progress");
  await window.notification("Provisioned.").waitFor({ timeout: 120_000 });
  await window.screenshot("provision 6 done");
}

/** The text of the open page, which is longer than the window: read while it is scrolled through, to the line that begins so. */
async function pageOf(window: Window, end: string): Promise<string> {
  const rows = window.page.locator(".editor-instance .view-line");
  await rows.filter({ hasText: "Plan for inference" }).first().click({ timeout: 30_000 });
  const seen = new Map<number, string>();
  return eventually(`the plan is read to "${end}"`, 30_000, async () => {
    const shown = await rows.evaluateAll((all) => all.map((each) => [Number.parseInt((each as HTMLElement).style.top, 10), each.textContent] as const));
    for (const [top, text] of shown) seen.set(top, text.replaceAll("\u00a0", " "));
    await window.page.keyboard.press("PageDown");
    const text = [...seen].sort(([one], [two]) => one - two).map(([, line]) => line).join("\n");
    return text.includes(`\n${end}`) ? text : undefined;
  });
}
