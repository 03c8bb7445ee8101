// The plan of a Provision in a real window: opened before anything is made; and again, when there is nothing to do.
import assert from "node:assert/strict";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { eventually } from "./eventually";
import type { Window } from "./window";

export async function planIsOpened(window: Window, group: string, folder: string, config: () => Record<string, unknown>): Promise<void> {
  await window.choose(group);
  await window.notification(/Resources to create: \d+, to update: 0.*The plan is open: nothing has been changed yet\./).waitFor({ timeout: 240_000 });
  const page = await pageOf(window, "PASS image");
  for (const said of ["Resource group rg-finetuning in australiaeast", "create\tcontainer app\taiacaapp", "The app gets its first revision", "infra/inference.config.json", "an hour awake, one replica\t", "These prices are made up"]) {
    assert.ok(page.includes(said), `${said} is not in\n${page}`);
  }
  assert.doesNotMatch(page, /your bill/i);
  assert.equal(config()["ACA_APP_NAME"], null, "nothing is written before the plan is agreed to");
  await window.screenshot("plan 1 opened");
  await changedPlanIsShownAnew(window, folder, config);
}

export async function nothingIsToBeDone(window: Window, preselected: readonly string[], folder: string): Promise<void> {
  const file = path.join(folder, "infra/inference.config.json");
  const before = [readFileSync(file, "utf8"), statSync(file).mtimeMs];
  await window.clearNotifications();
  await window.run("AI Toolkit: Provision Azure Container Apps for inference");
  for (const each of preselected) {
    await window.choices(each).and(window.focused).waitFor({ timeout: 120_000 });
    await window.page.keyboard.press("Enter");
  }
  await window.notification("Nothing to do: everything is as the parameters state it.").waitFor({ timeout: 120_000 });
  const page = await pageOf(window, "Nothing to do: everything is as the parameters state it.");
  assert.ok(page.includes("Nothing restarts; traffic stays as it is."), page);
  assert.match(page, /unchanged\tcontainer app/);
  assert.doesNotMatch(page, /(create|update|delete)\t/);
  await window.screenshot("plan 2 nothing to do");
  assert.deepEqual([readFileSync(file, "utf8"), statSync(file).mtimeMs], before);
  await window.clearNotifications();
  await window.run("View: Close All Editors");
}

async function changedPlanIsShownAnew(window: Window, folder: string, config: () => Record<string, unknown>): Promise<void> {
  const file = path.join(folder, "infra/provision/inference.parameters.json");
  const stated = JSON.parse(readFileSync(file, "utf8")) as { parameters: Record<string, unknown> };
  stated.parameters["cooldownSeconds"] = { value: 301 };
  writeFileSync(file, JSON.stringify(stated, null, 2));
  await window.press("The plan is open", "Apply plan");
  await window.notification("Something has changed since this plan was made, so nothing was done. Here is the new plan.").waitFor({ timeout: 240_000 });
  await window.notification(/Resources to create: \d+, to update: 0.*The plan is open: nothing has been changed yet\./).waitFor({ timeout: 240_000 });
  assert.equal(config()["ACA_APP_NAME"], null, "what was agreed to is not what would be done");
  await window.screenshot("plan 1b changed meanwhile");
}

export async function planIsApplied(window: Window, title: string): Promise<void> {
  await window.press("The plan is open", "Apply plan");
  await window.step(title, /show log\): .+…/);
  assert.ok(await window.notification(title).getByRole("button", { name: "Cancel" }).isVisible());
  await window.screenshot("provision 5 progress");
  await window.notification("Provisioned.").waitFor({ timeout: 240_000 });
  await window.screenshot("provision 6 done");
}

/** The text of the rendered page, once it is there. */
async function pageOf(window: Window, said: string): Promise<string> {
  return eventually(`the plan says "${said}"`, 90_000, async () => {
    const texts = await Promise.all(window.page.frames().map((frame) => frame.locator("body").innerText({ timeout: 5_000 }).catch(() => "")));
    return texts.find((text) => text.includes("Plan for inference") && text.includes(said));
  });
}
