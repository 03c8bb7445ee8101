// Check inference set-up in a real window: with a name that Azure refuses, then with the right one.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { Window } from "./window";

export async function setUpIsChecked(window: Window, folder: string, preselected: readonly string[]): Promise<void> {
  const parameters = path.join(folder, "infra/provision/inference.parameters.json");
  const right = readFileSync(parameters, "utf8");
  const wrong = right.replace(/("acaAppName": \{ "value": )null/, '$1"My_App"');
  assert.notEqual(wrong, right);
  const check = async (): Promise<void> => {
    await window.run("AI Toolkit: Check inference set-up");
    for (const each of preselected) {
      await window.choices(each).and(window.focused).waitFor({ timeout: 60_000 });
      await window.page.keyboard.press("Enter");
    }
  };
  writeFileSync(parameters, wrong);
  await check();
  await window.press("Provision would stop before it makes anything. Checks that fail: 1. My_App can't be the name of a container app.", "Show problems");
  const line = wrong.slice(0, wrong.indexOf("acaAppName")).split("\n").length;
  await window.page.locator(".markers-panel").getByText(`[Ln ${String(line)}, Col`).waitFor({ timeout: 30_000 });
  await window.screenshot("preflight 1 problems");
  await window.clearNotifications();
  writeFileSync(parameters, right);
  await check();
  // Of a subscription in which nobody has used Container Apps yet two providers are not registered.
  await window.notification("Provision can work. Checks that warn: 2; that could not be verified: 0.").waitFor({ timeout: 60_000 });
  await window.screenshot("preflight 2 can work");
  assert.equal(await window.page.locator(".markers-panel").getByText("My_App").count(), 0);
  await window.clearNotifications();
}
