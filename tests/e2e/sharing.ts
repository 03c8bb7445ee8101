// What is given away of an app: the diagnostics in one file.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import path from "node:path";
import { eventually } from "./eventually";
import type { Window } from "./window";

export async function diagnosticsAreCollected(window: Window, home: string, key: string): Promise<void> {
  const file = path.join(home, `slipway-diagnostics-${new Date().toISOString().slice(0, 10)}.zip`);
  await window.run("AI Toolkit: Collect diagnostics");
  await window.question.filter({ hasText: "Collect diagnostics" }).waitFor({ timeout: 90_000 });
  const proposed = window.page.locator(".quick-input-box input");
  await eventually("a file is proposed", 90_000, async () => (await proposed.inputValue()) === file);
  await proposed.press("Enter");
  await window.dialog.getByText(`The diagnostics are in ${file}`).waitFor({ timeout: 120_000 });
  await window.screenshot("diagnostics");
  await window.answer("Cancel");
  const read = "import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); print(*(n + chr(10) + z.read(n).decode() for n in z.namelist()), sep=chr(10))";
  const held = execFileSync("python3", ["-c", read, file], { encoding: "utf8" });
  for (const part of ["about.json", "app.json", "console-", "journal-deploy.jsonl"]) assert.ok(held.includes(part), part);
  assert.ok(!held.includes(key), "the diagnostics hold the API key");
}
