// A newer Slipway than the project's files: what is the person's stays, what can't be told apart is shown side by side.
import assert from "node:assert/strict";
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { PACKAGES_ARE_THERE } from "./deployed";
import type { Host } from "./host";
import { Stage } from "./stage";
import type { Window } from "./window";

describe("a newer Slipway", function () {
  this.timeout(300_000);
  const stage = Stage.of("newer");
  let folder: string;
  let host: Host;
  let window: Window;
  const read = (file: string): string => readFileSync(path.join(folder, "inference", file), "utf8");

  before(async () => {
    folder = stage.project("project");
    host = await stage.start({ settings: PACKAGES_ARE_THERE });
    window = await host.open(folder);
  });

  it("lists what would become of each file, and does nothing before it is agreed to", async () => {
    await window.run("AI Toolkit: Create project files");
    await window.notification(/\d+ project files were created/).waitFor({ timeout: 120_000 });
    await window.clearNotifications();
    const brought = (file: string): string => path.join(host.extension, "inference", file);
    appendFileSync(brought("settings.py"), "# newer\n");
    appendFileSync(brought("metrics.py"), "# newer\n");
    appendFileSync(brought("progress.py"), "# theirs\n");
    writeFileSync(path.join(folder, "inference/settings.py"), `# mine\n${read("settings.py")}`);
    appendFileSync(path.join(folder, "inference/progress.py"), "# mine\n");
    await window.run("AI Toolkit: Update project files");
    await window.dialog.getByText(/replaced 1, merged with your edits 1, removed 0, in conflict 1/).waitFor({ timeout: 120_000 });
    const told = await window.dialog.innerText();
    for (const line of ["inference/metrics.py: replaced", "inference/settings.py: merged", "inference/progress.py: in conflict"]) assert.ok(told.includes(line), told);
    await window.screenshot("update 1 what becomes of each");
    assert.ok(!read("metrics.py").includes("# newer"));
    await window.answer("Update");
  });

  it("keeps the person's edits, and shows what both have changed side by side", async () => {
    await window.notification(/you and Slipway have both changed inference\/progress\.py in the same place/).waitFor({ timeout: 120_000 });
    await window.page.locator(".tabs-container .tab", { hasText: "inference/progress.py: Slipway's against yours" }).waitFor({ timeout: 90_000 });
    await window.screenshot("update 2 side by side");
    await window.press("have both changed", "Keep mine");
    await window.notification(/The project's files are those of Slipway .*, with your edits\./).waitFor({ timeout: 90_000 });
    assert.match(read("settings.py"), /^# mine\n[^]*# newer\n$/);
    assert.match(read("metrics.py"), /# newer\n$/);
    assert.ok(read("progress.py").endsWith("# mine\n") && !read("progress.py").includes("# theirs"));
  });
});
