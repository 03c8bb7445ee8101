// Check inference set-up in a real window: with a name that Azure refuses, then with the right one.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { eventually } from "./eventually";
import type { Window } from "./window";

export async function setUpIsChecked(window: Window, folder: string, preselected: readonly string[]): Promise<void> {
  const parameters = path.join(folder, "infra/provision/inference.parameters.json");
  const right = readFileSync(parameters, "utf8");
  const wrong = right.replace(/("acaAppName": \{ "value": )null/, '$1"My_App"');
  assert.notEqual(wrong, right);
  const agreed = async (): Promise<void> => {
    for (const each of preselected) {
      await window.choices(each).and(window.focused).waitFor({ timeout: 120_000 });
      await window.page.keyboard.press("Enter");
    }
  };
  writeFileSync(parameters, wrong);
  await window.run("AI Toolkit: Check inference set-up");
  await agreed();
  await window.press("Provision would stop before it makes anything. Checks that fail: 1. My_App can't be the name of a container app.", "Show problems");
  const line = wrong.slice(0, wrong.indexOf("acaAppName")).split("\n").length;
  await window.page.locator(".markers-panel").getByText(`[Ln ${String(line)}, Col`).waitFor({ timeout: 90_000 });
  await window.screenshot("preflight 1 problems");
  await window.clearNotifications();
  await theEditorHelps(window, parameters);
  writeFileSync(parameters, right);
  await window.page.keyboard.press("Control+Home"); // the lenses stand above the first line
  await window.page.locator(".codelens-decoration a", { hasText: "Check" }).click({ timeout: 90_000 });
  await agreed();
  // Of a subscription in which nobody has used Container Apps yet two providers are not registered.
  await window.notification("Provision can work. Checks that warn: 2; that could not be verified: 0.").waitFor({ timeout: 120_000 });
  await window.screenshot("preflight 2 can work");
  assert.equal(await window.page.locator(".markers-panel").getByText("My_App").count(), 0);
  await window.clearNotifications();
}

/** In the open file: each mistake once, a fix by keyboard, what may be written, and what it is for. */
async function theEditorHelps(window: Window, parameters: string): Promise<void> {
  const { page } = window;
  const mistakes = page.locator(".markers-panel .monaco-list-row", { hasText: "My_App" });
  await mistakes.first().click();
  await page.locator(".tabs-container .tab", { hasText: "inference.parameters.json" }).waitFor();
  await mistakes.filter({ hasText: "Azure does not take the name My_App" }).waitFor({ timeout: 90_000 });
  await eventually("the mistake is told once", 90_000, async () => (await mistakes.count()) === 1);
  const fix = page.locator(".action-widget").getByText("Change it to my-app");
  await eventually("the fix is offered", 120_000, async () => {
    await mistakes.first().dblclick(); // the cursor stands at the mistake, wherever the editor was scrolled to
    await page.locator(".part.editor .monaco-editor.focused").waitFor({ timeout: 5_000 });
    await page.keyboard.press("Control+.");
    return fix.waitFor({ timeout: 15_000 }).then(() => true, () => false);
  });
  await window.screenshot("editor 1 quick fix");
  await page.keyboard.press("Enter"); // the first is the one that is chosen
  await eventually("nothing is wrong any more", 90_000, async () => (await mistakes.count()) === 0);
  await page.keyboard.press("Control+s");
  await eventually("the fix is saved", 90_000, () => readFileSync(parameters, "utf8").includes('"acaAppName": { "value": "my-app" }'));
  await page.keyboard.press("End");
  await page.keyboard.type('\n"coo');
  const offered = page.locator(".suggest-widget .monaco-list-row", { hasText: "cooldownSeconds" });
  await offered.waitFor({ timeout: 90_000 });
  await window.screenshot("editor 2 what may be written");
  await page.keyboard.press("Tab");
  await page.locator(".view-line", { hasText: "cooldownSeconds" }).waitFor();
  await page.keyboard.press("Escape");
  await page.locator(".view-line span", { hasText: "storageAccountName" }).last().hover();
  await page.locator(".monaco-hover", { hasText: "Storage account that holds the share" }).waitFor({ timeout: 90_000 });
  await window.screenshot("editor 3 what it is for");
  const text = page.locator(".monaco-editor .view-lines").first();
  while ((await page.locator(".tabs-container .tab.dirty").count()) > 0) {
    const before = await text.innerText();
    await page.keyboard.press("Control+z");
    await eventually("the last edit is taken back", 90_000, async () => (await text.innerText()) !== before);
  }
}
