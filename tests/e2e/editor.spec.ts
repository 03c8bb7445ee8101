// The project's files as they are edited in a real VS Code: each mistake is told once, mended by a key, and what can be done stands above.
import assert from "node:assert/strict";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { PACKAGES_ARE_THERE } from "./deployed";
import type { Locator } from "playwright-core";
import { eventually } from "./eventually";
import { root } from "./host";
import { Stage } from "./stage";
import type { Window } from "./window";

const PARAMETERS = "infra/provision/inference.parameters.json";

describe("editing the project's files in a real VS Code", function () {
  this.timeout(600_000);
  const stage = Stage.of("edit");
  let folder: string;
  let window: Window;

  before(async () => {
    folder = stage.project("project");
    cpSync(path.join(root, "infra"), path.join(folder, "infra"), { recursive: true, filter: (file) => !file.endsWith(".py") });
    window = await (await stage.start({ settings: { ...PACKAGES_ARE_THERE, "slipway.cloud": "auto" } })).open(folder);
  });

  const write = (file: string, text: string): void => { writeFileSync(path.join(folder, file), text); };
  /** Opens a file by its name, as Ctrl+P does. */
  const open = async (file: string): Promise<void> => {
    await window.page.keyboard.press("Control+P");
    await window.page.locator(".quick-input-widget .quick-input-box input").fill(path.join(folder, file));
    await window.choices(path.basename(file)).first().waitFor();
    await window.page.keyboard.press("Enter");
    await window.page.locator(".tabs-container .tab", { hasText: path.basename(file) }).waitFor();
    await window.page.locator(".monaco-editor .view-lines").first().waitFor();
  };
  const editor = (): Locator => window.page.locator(".editor-instance .monaco-editor").first();
  const goTo = async (place: string): Promise<void> => {
    await editor().click();
    await window.page.keyboard.press("Control+G");
    await window.type(`:${place}`);
    await window.statusBar.getByText(`Ln ${place.replace(":", ", Col ")}`).waitFor();
  };
  /** What the Problems panel holds, the rows of files left out, once it is as many. */
  const problems = async (count: number): Promise<readonly string[]> => {
    const rows = window.page.locator(".markers-panel .monaco-list-row[aria-level='2']");
    await eventually(`${String(count)} problems`, 90_000, async () => (await rows.count()) === count);
    return rows.allInnerTexts();
  };

  it("mistakes in the parameters are told where they stand, with what would mend them", async () => {
    write(PARAMETERS, '{\n  "parameters": {\n    "acaAppNam": { "value": "mine" },\n    "maximumInstanceCount": { "value": "2" }\n  }\n}\n');
    await open(PARAMETERS);
    await window.run("Problems: Focus on Problems View");
    const told = await problems(2);
    assert.ok(told.some((each) => /acaAppNam\b[^]*acaAppName[^]*Ln 3, Col 5/.test(each)), told.join("\n"));
    assert.ok(told.some((each) => /Ln 4, Col \d+/.test(each)), told.join("\n"));
    await window.screenshot("editor 1 problems");
  });

  it("a key press mends each, and both are gone", async () => {
    for (const [row, fix] of [["acaAppNam", "Change it to acaAppName"], ["maximumInstanceCount", "Change it to 2"]] as const) {
      await window.page.locator(".markers-panel .monaco-list-row[aria-level='2']", { hasText: row }).click();
      await editor().locator(".view-lines").waitFor();
      await window.run("Quick Fix...");
      const offered = window.page.locator(".action-widget .monaco-list-row", { hasText: fix });
      await offered.first().waitFor({ timeout: 90_000 });
      await window.screenshot(`editor 2 ${fix}`);
      await window.page.keyboard.press("Enter"); // the surest one is the first
      await window.page.keyboard.press("Control+S");
      await eventually("it is written", 90_000, () => readFileSync(path.join(folder, PARAMETERS), "utf8").includes(fix.endsWith("2") ? '"value": 2' : '"acaAppName"'));
    }
    await problems(0);
  });

  it("above the file stands what can be done with it, and does it", async () => {
    const lens = editor().locator(".codelens-decoration a");
    await lens.filter({ hasText: "Check" }).waitFor({ timeout: 90_000 });
    assert.deepEqual(await lens.allInnerTexts(), ["Provision", "Check"]);
    await lens.filter({ hasText: "Check" }).click();
    await window.question.filter({ hasText: "Check inference set-up" }).waitFor({ timeout: 90_000 });
    await window.screenshot("editor 3 check");
    await window.page.keyboard.press("Escape");
  });

  it("of the configuration each key is offered once, and said what it is for", async () => {
    write("infra/inference.config.json", '{\n  // comments are taken\n  "SUBSCRIPTION_ID": null,\n  \n}\n');
    await open("infra/inference.config.json");
    await goTo("4:3");
    await window.page.keyboard.press("Control+Space");
    const offered = window.page.locator(".suggest-widget .monaco-list-row");
    await offered.filter({ hasText: "ACA_APP_NAME" }).first().waitFor({ timeout: 90_000 });
    await window.screenshot("editor 4 offered");
    const labels = await offered.locator(".label-name").allInnerTexts();
    assert.deepEqual(labels.filter((each) => /^[A-Z_]+$/.test(each)).sort(), ["ACA_APP_ENDPOINT", "ACA_APP_NAME", "FILE_SHARE_NAME", "RESOURCE_GROUP_NAME", "STORAGE_ACCOUNT_NAME"]);
    await window.page.keyboard.press("Escape");
    await goTo("3:6");
    await window.run("Show or Focus Hover");
    await window.page.locator(".monaco-hover", { hasText: "The subscription that everything below is in." }).first().waitFor({ timeout: 90_000 });
    await window.screenshot("editor 5 hover");
    await window.page.keyboard.press("Escape");
    await window.run("Problems: Focus on Problems View");
    await problems(0);
  });

  it("a mistake is told once, by the schema or by Slipway", async () => {
    write("infra/inference.config.json", '{\n  "SUBSCRIPTION_ID": null,\n  "ACA_APP_NAME": 7,\n  "FILE_SHARE_NAME": "<your-share>",\n}\n');
    write("infra/smoke.json", '[\n  { "prompt": "Who?", "max_tokens": "9" }, // a number\n  { "contains": "ship" }\n]\n');
    await open("infra/smoke.json");
    await window.run("Problems: Focus on Problems View");
    const told = (await problems(4)).join("\n");
    for (const place of [/Ln 3, Col 19/, /Ln 4, Col 22/, /Ln 2, Col 37/, /Ln 3, Col 3\b/]) assert.match(told, place);
    assert.match(told, /a placeholder/);
    assert.match(told, /either prompt or messages/);
    await window.screenshot("editor 6 each once");
  });
});
