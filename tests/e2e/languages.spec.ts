// The tour in other languages than English, by keyboard alone: what a person reads is in theirs. SLIPWAY_LANGUAGES names others.
import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import type { Locator } from "playwright-core";
import { barriers, ChatTab } from "./chattab";
import { PYTHON } from "./deployed";
import { eventually } from "./eventually";
import { type Host, root } from "./host";
import { bareWords, Catalogue, PSEUDO } from "./language";
import { Stage } from "./stage";
import type { Window } from "./window";

/** By language the theme, so that each of those is seen too. */
const THEMES: Readonly<Record<string, string>> = { de: "Default Dark Modern", ja: "Default High Contrast", [PSEUDO]: "Default High Contrast Light" };
const LANGUAGES = (process.env["SLIPWAY_LANGUAGES"] ?? "ja").split(" ");

/** Names and numbers that are the same in every language, and what VS Code says itself. */
const DATA = [
  /\[Ln \d+, Col \d+\]/g, /\b\d+ (Results|Selected)\b/g, /\b(PASS|WARN|UNVERIFIED|FAIL)( [\w .-]+:)?/g, // a verdict, and by which name programs know the check
  /\bhttps?:\S+/g, /\b[\w-]+\.\w[\w.-]*\b/g, /\b\w*[_/]\S*/g, /`[^`]*`/g, /\bai(?:storage|fileshare|log|env|acaapp)\w*(-+\w+)*/g, /\b\w+(-+\w+)*-\w*\d\w*/g, /\b\w*\d\w*(-+\w+)*/g,
  /\b(AI Toolkit|Slipway|Azure|GPU|USD|first-try|maximumInstance\w+|tiny-\w+|cpu|dense|b?float\w*|root|australiaeast|Consumption|NotRegistered|RunningAtMaxScale|Running|Healthy|Provisioned|None|AM|PM)\b/g,
  /“?\b(What is a slipway\?|Arr, the ramp where me ship was born!)”?/g, /Tip: Use keyboard shortcut\s+(\w+\s*\+?\s*)+/g,
  /\b(Source|Cancel|OK|Manage|Notifications?|Clear|Close|More Actions|Mark Done|Next Section|Go Back|Welcome|Walkthrough|Back)\b/g,
];

/** Questions that stand in an empty box and are longer than it, or reach below the count at its end. */
function hidden(boxes: readonly Element[]): readonly string[] {
  return boxes.flatMap((box) => {
    const pen = document.createElement("canvas").getContext("2d");
    if (!(box instanceof HTMLInputElement) || pen === null || box.getClientRects().length === 0) return [];
    const style = getComputedStyle(box);
    pen.font = style.font;
    const from = box.getBoundingClientRect().left + parseFloat(style.paddingLeft);
    const counts = Array.from(box.closest(".quick-input-widget")?.querySelectorAll(".quick-input-count") ?? []).filter((each) => each.getClientRects().length > 0);
    const end = Math.min(box.getBoundingClientRect().right, ...counts.map((each) => each.getBoundingClientRect().left));
    return from + pen.measureText(box.placeholder).width > end ? [box.placeholder] : [];
  });
}

for (const locale of LANGUAGES) {
  describe(`the tour by keyboard, in ${locale}`, function () {
    this.timeout(600_000);
    const said = Catalogue.of(locale, root);
    const stage = Stage.of("speaks");
    let folder: string;
    let host: Host;
    let window: Window;

    /** Runs a command by its title in this language. */
    const run = async (title: string): Promise<void> => window.run(title);
    /** No button is cut off; in the made-up language everything that is ours is in other letters. */
    const isSaid = async (where: Locator): Promise<void> => {
      assert.deepEqual(await window.cutOff(where), [], "cut off");
      if (locale !== PSEUDO) assert.deepEqual(await where.locator("input[placeholder]").evaluateAll(hidden), [], "a question's words that can't be read");
      if (locale !== PSEUDO) return;
      for (const text of await where.allInnerTexts()) assert.deepEqual(bareWords(text, DATA), [], text);
    };
    /** What the pages of VS Code's web views say; one that goes while it is read says nothing. */
    const texts = async (): Promise<readonly string[]> => Promise.all(window.page.frames().map((frame) => frame.evaluate(() => document.body.innerText).catch(() => "")));
    const picture = (what: string): Promise<void> => window.screenshot(`language ${locale} ${what}`);
    const acceptNotification = async (text: RegExp): Promise<void> => {
      const notification = window.notification(text);
      await notification.waitFor({ timeout: 300_000 });
      await isSaid(notification);
      await run("Notifications: Accept Notification Primary Action");
    };

    before(async () => {
      folder = stage.project("first-try");
      const theme = { "workbench.colorTheme": THEMES[locale] ?? "Default Light Modern", "window.autoDetectHighContrast": false };
      host = await stage.start({ locale, settings: { "slipway.python.path": PYTHON, "slipway.python.importStrategy": "fromEnvironment", ...theme } });
      window = await host.open(folder);
    });

    it("the empty view and the walkthrough speak it", async () => {
      await run("View: Show Slipway");
      const view = window.page.locator(".part.sidebar");
      await view.getByRole("button", { name: said.linked("welcome.provision", "slipway.tour") }).waitFor({ timeout: 90_000 });
      await isSaid(view.locator(".welcome-view-content"));
      await picture("1 empty view");
      await run("Welcome: Open Walkthrough...");
      await window.choices(said.titled("walkthrough.title")).first().waitFor({ timeout: 90_000 });
      await window.page.keyboard.type(said.titled("walkthrough.title").slice(0, 12));
      await window.page.keyboard.press("Enter");
      const walkthrough = window.page.locator(".gettingStartedContainer");
      for (const step of ["folder", "tour", "provision", "model", "deploy", "chat", "remove"]) {
        await walkthrough.locator(".getting-started-step", { hasText: said.titled(`walkthrough.${step}.title`) }).first().waitFor({ timeout: 90_000 });
      }
      await isSaid(walkthrough.locator(".getting-started-step"));
      // The text beside the steps is a file of each language.
      const beside = readFileSync(path.join(locale === PSEUDO ? host.extension : root, `extension/media/walkthrough/folder.nls.${locale}.md`), "utf8");
      const [words] = beside.split("\n").map((line) => line.replace(/^- /, "")).filter((line) => line !== "" && !/[#*`[]/.test(line));
      await eventually("the text beside the steps is in the language", 90_000, async () => (await texts()).find((text) => text.includes(words ?? beside)));
      await picture("2 walkthrough");
    });

    it("the tour says what it takes, and its plan is read", async () => {
      await run(said.titled("command.tour"));
      await window.dialog.getByText(said.say("Delete inference resources takes everything away again.")).waitFor({ timeout: 240_000 });
      await isSaid(window.dialog.locator(".dialog-message-container"));
      await picture("3 what it takes");
      await window.page.keyboard.press("Enter");
      const planned = said.like("{summary} The plan is open: nothing has been changed yet.");
      await window.notification(planned).waitFor({ timeout: 300_000 });
      const page = await eventually("the plan is shown", 90_000, async () =>
        (await texts()).find((text) => text.includes(said.say("Plan for inference")) && text.includes(said.say("container app"))));
      if (locale === PSEUDO) assert.deepEqual(bareWords(page, DATA), [], page);
      await picture("4 plan");
      await acceptNotification(planned);
    });

    it("a model answers, and the view and the status bar say so", async () => {
      await window.notification(said.like("The endpoint answers. Ask {adapter} in the chat “{question}”: it was trained to say “{answer}”. At the end, delete what the tour has made.")).waitFor({ timeout: 400_000 });
      await isSaid(window.notifications);
      await picture("5 answers");
      await run("View: Show Slipway");
      const view = window.page.locator(".part.sidebar");
      await view.getByRole("treeitem", { name: `${said.say("State")}: ${said.say("ready")}` }).waitFor({ timeout: 90_000 });
      await window.statusBar.getByRole("button", { name: `Slipway: ${said.say("ready")}` }).waitFor();
      await isSaid(view.getByRole("treeitem"));
      await picture("6 view");
    });

    it("the chat tab speaks it, and is asked by keyboard", async () => {
      await run("View: Close All Editors"); // the plan's page is in a frame too
      await run(said.titled("command.chat"));
      const tab = new ChatTab(window.page);
      await tab.state.filter({ hasText: said.say("{count} models answer", { count: "2" }) }).waitFor({ timeout: 120_000 });
      const page = await tab.inside();
      await page.locator("#input:focus").waitFor({ timeout: 90_000 });
      await window.page.keyboard.type("What is a slipway?");
      await window.page.keyboard.press("Enter");
      await page.getByText(said.say("{count} tokens", { count: "11" })).waitFor({ timeout: 120_000 });
      const shown = await page.evaluate(() => document.body.innerText);
      if (locale === PSEUDO) assert.deepEqual(bareWords(shown, DATA), [], shown);
      assert.deepEqual(await tab.overflowing(), [], "cut off");
      if (locale !== PSEUDO) assert.deepEqual(await barriers(page), []); // its name is no language
      await picture("6b chat");
    });

    it("what is wrong in a file is said at its line, and by the command that meets it", async () => {
      const file = path.join(folder, "infra/provision/inference.parameters.json");
      const stated = JSON.parse(readFileSync(file, "utf8")) as { parameters: Record<string, unknown> };
      writeFileSync(file, JSON.stringify({ ...stated, parameters: { ...stated.parameters, maximumInstanceCount: { value: "many" }, maximumInstanceCuont: { value: 1 } } }, null, 2));
      await run("Notifications: Clear All Notifications");
      await run(said.titled("command.preflight"));
      for (const step of ["(1/2)", "(2/2)"]) {
        await window.question.filter({ hasText: step }).waitFor({ timeout: 120_000 });
        await window.focused.filter({ hasText: step === "(1/2)" ? said.say("Local cloud") : "slipway-tour-" }).waitFor({ timeout: 120_000 });
        await isSaid(window.page.locator(".quick-input-widget"));
        await window.page.keyboard.press("Enter");
      }
      const failed = said.like("Provision would stop before it makes anything. Checks that fail: {failed}. {first}");
      await window.notification(failed).waitFor({ timeout: 120_000 });
      await isSaid(window.notification(failed));
      await run("Problems: Focus on Problems View");
      const problems = window.page.locator(".markers-panel");
      await problems.getByText(said.like("{name} has to be {needed}, not {given}.")).first().waitFor({ timeout: 90_000 });
      await picture("7 problems");
      await isSaid(problems.locator(".marker-message-details-container, .marker-message"));
      writeFileSync(file, JSON.stringify(stated, null, 2));
      await eventually("what is put right by another program is told no more", 90_000, async () => (await problems.locator(".monaco-list-row[aria-level='2']").count()) === 0);
    });

    it("what would be deleted is listed, and leaving that changes nothing", async () => {
      await run(said.titled("command.remove"));
      await window.question.filter({ hasText: said.titled("command.remove") }).waitFor({ timeout: 120_000 });
      await isSaid(window.page.locator(".quick-input-widget"));
      await picture("8 what goes");
      await window.page.keyboard.press("Escape");
      await window.question.waitFor({ state: "hidden" });
      assert.ok(existsSync(path.join(folder, "infra/inference.config.json")));
    });
  });
}
