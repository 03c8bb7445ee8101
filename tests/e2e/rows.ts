// The rows of the view: each offers in its menu what can be done with what it tells of.
import assert from "node:assert/strict";
import type { Window } from "./window";

export async function rowsOfferCommands(window: Window, url: string): Promise<void> {
  const view = await window.showView();
  const menu = window.page.locator(".monaco-menu");
  const opened = async (row: RegExp, commands: readonly string[]): Promise<void> => {
    await view.getByRole("treeitem", { name: row }).click({ button: "right" });
    for (const each of commands) await menu.getByText(each, { exact: true }).waitFor({ timeout: 30_000 });
  };
  for (const [row, commands] of [
    [/^Release: /, ["Deploy for inference", "Preview deployment", "Roll back inference deployment"]],
    [/^Models: /, ["Upload model or adapter", "Use the sample model"]],
    [/^State: /, ["Why is it not ready?", "Stop inference app"]],
  ] as const) {
    await opened(row, commands);
    await window.page.keyboard.press("Escape");
    await menu.first().waitFor({ state: "hidden" });
  }
  await opened(/^Endpoint: /, ["Go to Inference Endpoint", "Rotate API key", "Copy endpoint URL"]);
  await window.screenshot("view 2 menu of a row");
  await menu.getByText("Copy endpoint URL", { exact: true }).click();
  await window.notification("The endpoint's URL is on the clipboard.").waitFor({ timeout: 60_000 });
  assert.equal(await window.clipboard(), url);
}
