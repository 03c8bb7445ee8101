// The chat tab in a real VS Code: what sleeps is left asleep, who answers is said, an answer is stopped, compared and kept.
import assert from "node:assert/strict";
import process from "node:process";
import { barriers, ChatTab } from "./chattab";
import { deployed, Others, PACKAGES_ARE_THERE, provisioned } from "./deployed";
import { eventually } from "./eventually";
import { awake, sampleQuestions, type Question } from "./finetuning";
import type { Host } from "./host";
import { Stage } from "./stage";
import type { Window } from "./window";

const CHAT = "AI Toolkit: Chat with the deployed model";
const BASE = "slipway/tiny-llama";
/** Answers: more than the server gives at a time. */
const FULL = 40;
const THEMES = { "Dark Modern": "vscode-dark", "Light Modern": "vscode-light", "Dark High Contrast": "vscode-high-contrast", "Light High Contrast": "vscode-high-contrast-light" };
const ADAPTER = "gpu_model";

describe("the chat tab in a real VS Code", function () {
  this.timeout(600_000);
  const stage = Stage.of("chat");
  let folder: string;
  let host: Host;
  let window: Window;
  let tab: ChatTab;
  let first: Question;
  let second: Question;

  before(async () => {
    const [one, two] = sampleQuestions(process.env);
    assert.ok(one !== undefined && two !== undefined);
    [first, second] = [one, two];
    folder = stage.project("fine-tuned");
    // It sleeps after 15 s without a request, in place of five minutes.
    host = await stage.start({ settings: PACKAGES_ARE_THERE, cloud: { times: { scale: 0.02, cooldown_scale: 0.05 } } });
    await provisioned(folder, "rg-chat", host.env);
    window = await host.open(folder);
    tab = new ChatTab(window.page);
  });

  it("before a first deploy it says so, and leads there", async () => {
    await window.run(CHAT);
    await tab.state.filter({ hasText: /asleep|waiting for a model|starting/ }).waitFor({ timeout: 120_000 });
    await tab.send("Is anybody there?");
    await tab.alert.filter({ hasText: "No model answers now" }).waitFor();
    assert.equal(await tab.input.inputValue(), "Is anybody there?", "what was written stays");
    await window.screenshot("chat tab 1 nothing deployed");
    // What is in no log at the end is to be in none at any level.
    await window.run("Developer: Set Log Level...");
    await window.choose("Slipway");
    await window.choose("Trace");
  });

  it("says who answers: the adapter, its release and its files", async () => {
    await deployed(folder, host.env);
    await tab.button("Look again").click();
    await tab.state.filter({ hasText: "2 models answer" }).waitFor({ timeout: 120_000 });
    await tab.heading.filter({ hasText: `Chat with ${ADAPTER}` }).waitFor();
    await tab.options();
    await tab.field("Temperature").fill("0");
    await tab.closeOptions();
    await tab.send(first.question);
    assert.equal(await tab.said(0), first.adapter);
    assert.equal(await tab.answer(0).locator(".who").innerText(), ADAPTER);
    assert.match(await tab.answer(0).locator(".where").innerText(), /^release [0-9a-f]{12} · files [0-9a-f]{12}$/);
    assert.equal(await tab.told.innerText(), `${ADAPTER}: ${first.adapter}`, "a screen reader is told the answer once");
    assert.equal(await tab.input.inputValue(), "");
    await window.screenshot("chat tab 2 answer");
  });

  it("answers by each model that is chosen, and once more", async () => {
    await tab.field("Model").selectOption(BASE);
    await tab.send(second.question);
    assert.equal(await tab.said(1), second.base);
    assert.equal(await tab.answer(1).locator(".who").innerText(), BASE);
    assert.match(await tab.answer(1).locator(".where").innerText(), /^release [0-9a-f]{12}$/);
    await tab.button("Regenerate").click();
    assert.equal(await tab.said(1), second.base);
  });

  it("compares base and adapter side by side, and no model with itself", async () => {
    await tab.field("Compare two models").check();
    await tab.alert.filter({ hasText: `${BASE} beside itself compares nothing` }).waitFor();
    await tab.send(first.question);
    assert.equal(await tab.input.inputValue(), first.question, "it was not sent");
    await tab.field("Model").selectOption(ADAPTER);
    await tab.input.press("Enter");
    assert.deepEqual([await tab.said(2, 0), await tab.said(2, 1)], [first.base, first.adapter]);
    assert.deepEqual([await tab.answer(2, 0).locator(".who").innerText(), await tab.answer(2, 1).locator(".who").innerText()], [BASE, ADAPTER]);
    await window.screenshot("chat tab 3 compare");
    await tab.field("Compare two models").uncheck();
  });

  it("Esc stops an answer, which says so, and the server's place is free", async () => {
    const server = await Others.of(folder, host.env);
    const cancelled = await server.metric("slipway_cancelled_total");
    const other = new AbortController();
    const busy = server.occupy(BASE, FULL, other.signal);
    await eventually("the server has its hands full", 90_000, async () => (await server.metric("slipway_in_flight")) >= FULL);
    await tab.send("Write without an end.");
    await eventually("the question has arrived", 90_000, async () => (await server.metric("slipway_in_flight")) > FULL);
    assert.ok(await tab.button("Stop").isVisible());
    await tab.input.press("Escape");
    await eventually("it says that it was stopped", 90_000, async () => (await tab.answer(3).locator(".state").innerText()) === "Stopped.");
    await eventually("the server does not wait for it any more", 90_000, async () => (await server.metric("slipway_cancelled_total")) === cancelled + 1);
    await window.screenshot("chat tab 4 stopped");
    other.abort();
    await busy;
  });

  it("goes on with an answer while another tab is in front", async () => {
    const server = await Others.of(folder, host.env);
    const other = new AbortController();
    const busy = server.occupy(BASE, FULL, other.signal);
    await eventually("the server has its hands full", 90_000, async () => (await server.metric("slipway_in_flight")) >= FULL);
    await tab.button("Regenerate").click();
    await eventually("the question has arrived", 90_000, async () => (await server.metric("slipway_in_flight")) > FULL);
    await window.run("File: New Untitled Text File");
    // The palette may take another command of like letters, which opens two: either stands in front of the chat tab.
    await window.page.getByRole("tab", { name: /^Untitled-1/, selected: true }).waitFor({ timeout: 90_000 });
    other.abort();
    await busy;
    await eventually("it is answered behind", 90_000, async () => (await server.metric("slipway_in_flight")) === 0);
    await window.run(CHAT);
    const answered = await tab.said(3);
    assert.notEqual(answered, "");
    assert.notEqual(await tab.answer(3).locator(".state").innerText(), "Stopped.");
    await tab.button("Regenerate").click();
    assert.equal(await tab.said(3), answered, "nothing of it was lost");
  });

  it("copies the call as code without the key", async () => {
    await tab.options();
    await tab.field("Temperature").fill("0");
    await tab.field("Most new tokens").fill("32");
    for (const language of ["curl", "Python", "JavaScript"]) {
      await tab.button(language).click();
      const code = await eventually(`the ${language} code`, 90_000, async () => {
        const held = await window.clipboard();
        return held.includes({ curl: "curl --", Python: "from openai", JavaScript: "await fetch(" }[language] ?? "?") ? held : undefined;
      });
      for (const part of [first.question, "SLIPWAY_API_KEY", "32"]) assert.ok(code.includes(part), code);
    }
    await tab.closeOptions();
  });

  it("is as it was after a reload of the window, in no file of the project", async () => {
    await window.page.reload();
    // Which tab is in front VS Code writes down only now and then: after a reload it may be the one of before.
    await window.page.getByRole("tab", { name: /^Chat: fine-tuned/ }).click({ timeout: 120_000 });
    await tab.answer(2, 1).waitFor({ timeout: 120_000 });
    assert.equal(await tab.said(0), first.adapter);
    await tab.state.filter({ hasText: "2 models answer" }).waitFor({ timeout: 120_000 });
    assert.equal(await tab.field("Model").inputValue(), ADAPTER);
    await tab.send(second.question);
    assert.equal(await tab.said(4), second.adapter);
  });

  it("has no barrier that axe-core calls serious, in dark, light and high contrast, and fits 320 pixels", async () => {
    for (const [theme, kind] of Object.entries(THEMES)) {
      // Its command is not the first that the palette finds by its title.
      await window.page.keyboard.press("Control+K");
      await window.page.keyboard.press("Control+T");
      await window.type(theme);
      await eventually(`the theme ${theme}`, 90_000, async () => (await (await tab.inside()).evaluate(() => document.body.dataset["vscodeThemeKind"])) === kind);
      assert.deepEqual(await barriers(await tab.inside()), [], theme);
      await window.screenshot(`chat tab 5 ${theme}`);
    }
    await window.run("View: Toggle Primary Side Bar Visibility");
    await window.page.setViewportSize({ width: 320 + 48, height: 800 });
    assert.deepEqual(await tab.overflowing(), []);
    await tab.options();
    assert.deepEqual(await tab.overflowing(), [], "with the options open");
    await window.screenshot("chat tab 6 narrow");
  });

  it("leaves an app that sleeps asleep, until the person has said that it may be woken", async () => {
    await window.page.setViewportSize({ width: 1280, height: 800 });
    await tab.closeOptions();
    await eventually("nobody has asked for so long that it sleeps", 120_000, () => awake(folder, host.env) === 0);
    await tab.send(first.question);
    await tab.answer(5).locator(".state", { hasText: "is asleep: no GPU is awake. An answer wakes it" }).waitFor({ timeout: 90_000 });
    await tab.state.filter({ hasText: "asleep, no GPU is awake" }).waitFor({ timeout: 90_000 });
    await window.screenshot("chat tab 7 asleep");
    await tab.send("Again?");
    await tab.alert.filter({ hasText: "No model answers now" }).waitFor();
    assert.equal(await tab.button("Wake it").evaluate((each) => each === document.activeElement), true, "what helps has the focus");
    assert.equal(awake(folder, host.env), 0, "nothing of that has woken it");
    await window.page.keyboard.press("Enter");
    await tab.button("Stop waiting").waitFor({ timeout: 90_000 });
    await tab.state.filter({ hasText: "2 models answer" }).waitFor({ timeout: 120_000 });
    await tab.button("Regenerate").click();
    assert.equal(await tab.said(5), first.adapter);
  });

  it("logs nothing of what was asked or answered", () => {
    for (const said of [first.question, first.adapter, second.question, second.base, "Write without an end."]) assert.ok(!window.log.includes(said), said);
  });
});
