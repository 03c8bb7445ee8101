// The chat page in a browser: who may come in, which model answers, an answer that is stopped, two side by side, how it looks.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import type { Browser, Page } from "playwright-core";
import { Chat } from "./chat";
import { barriers } from "./chattab";
import { eventually } from "./eventually";
import { sampleFolder, sampleQuestions, type Question } from "./finetuning";
import { newBrowser, root } from "./host";
import { ModelServer } from "./modelserver";
import { Spread } from "./spread";

const BASE = "slipway/tiny-llama";
const ADAPTER = "gpu_model";
const SCREENS = { wide: { width: 1280, height: 800 }, narrow: { width: 390, height: 844 } } as const;

describe("the chat page in a browser", function () {
  this.timeout(600_000);
  let server: ModelServer;
  let browser: Browser;
  let chat: Chat;
  let first: Question;
  let second: Question;
  let recall: { readonly question: string; readonly answers: Readonly<Record<string, string>> };

  before(async () => {
    const [one, two] = sampleQuestions(process.env);
    assert.ok(one !== undefined && two !== undefined);
    [first, second] = [one, two];
    const sample = JSON.parse(readFileSync(path.join(sampleFolder(process.env), "sample.json"), "utf8")) as { recall: typeof recall };
    recall = sample.recall;
    // One request at a time: whoever comes second waits, as long as a test needs it to.
    server = await ModelServer.start({ SLIPWAY_MAX_RUNNING: "1" });
    browser = await newBrowser();
  });

  after(async () => {
    await browser.close();
    await server.stop();
  });

  async function screenshot(page: Page, name: string): Promise<void> {
    const folder = path.join(root, "build/screenshots");
    mkdirSync(folder, { recursive: true });
    await page.screenshot({ path: path.join(folder, `${name}.png`) });
  }

  it("asks for the key, refuses a wrong one, and opens", async () => {
    const page = await browser.newPage({ viewport: SCREENS.wide });
    chat = new Chat(page);
    await page.goto(server.url);
    const key = page.getByLabel("API key");
    await key.fill("a guess");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("alert").getByText("That is not the key of this endpoint.").waitFor();
    await screenshot(page, "login");
    await key.fill(server.key);
    await key.press("Enter");
    await chat.shown(); // a page that says what is going on meanwhile turns into it by itself
    assert.equal(page.url(), `${server.url}/`);
  });

  it("the model that is chosen answers: the adapter at first, then the base", async () => {
    await server.ready();
    assert.equal(await chat.model(), ADAPTER);
    await chat.setTemperature(0);
    await chat.heading.filter({ hasText: `Chat with ${ADAPTER} (adapter of ${BASE})` }).waitFor();
    await chat.ask(first.question, first.adapter);
    assert.equal(chat.answeredBy, ADAPTER);
    await chat.choose(BASE);
    await chat.heading.filter({ hasText: new RegExp(`^Chat with ${BASE}$`) }).waitFor();
    await chat.ask(second.question, second.base);
    assert.equal(chat.answeredBy, BASE);
    assert.notEqual(second.base, second.adapter);
    await chat.choose(ADAPTER);
    await chat.ask(second.question, second.adapter);
  });

  it("Stop ends an answer and leaves the conversation usable", async () => {
    const before = await server.metric("slipway_cancelled_total");
    const other = new AbortController();
    const busy = server.generate(BASE, 2000, 8, other.signal).catch((error: unknown) => { assert.ok(other.signal.aborted, String(error)); });
    await eventually("the server is busy", 90_000, async () => (await server.metric("slipway_running")) === 1);
    await chat.askAndStop(first.question, async () => (await server.metric("slipway_in_flight")) === 9);
    await eventually("the stopped answer is not waited for", 90_000, async () => (await server.metric("slipway_in_flight")) === 8);
    assert.equal(await server.metric("slipway_cancelled_total"), before + 1);
    await chat.last.filter({ hasText: "Ended without an answer." }).waitFor();
    other.abort();
    await busy;
    await chat.ask(first.question, first.adapter);
  });

  it("keeps the conversation over a reload, in this tab only, and goes on with it", async () => {
    const shown = await chat.turns();
    assert.ok(shown.length > 4, String(shown));
    await chat.reload();
    await eventually("the conversation is there again", 90_000, async () => (await chat.turns()).join() === shown.join());
    await chat.setTemperature(0);
    await chat.ask(recall.question, recall.answers[first.question] ?? "");
    const another = new Chat(await browser.newPage({ viewport: SCREENS.wide, storageState: await chat.page.context().storageState() }));
    await another.page.goto(server.url);
    await another.shown();
    assert.deepEqual(await another.turns(), []);
    await another.page.close();
  });

  it("leaves room for the conversation while the options are open", async () => {
    await chat.model();
    await screenshot(chat.page, "chat-options");
    const heights = await chat.page.evaluate(() => ["#log", "#options"].map((each) => document.querySelector(each)?.getBoundingClientRect().toJSON() as { top: number; height: number }));
    const bottom = await chat.page.evaluate(() => Array.from(document.querySelectorAll("textarea")).filter((each) => each.offsetParent !== null).at(-1)?.getBoundingClientRect().bottom ?? Infinity);
    assert.ok((heights[0]?.height ?? 0) >= 180, JSON.stringify(heights));
    assert.ok(bottom <= SCREENS.wide.height, `the input ends at ${bottom}`);
  });

  it("base and adapter answer side by side", async () => {
    await chat.compare(first.question, ADAPTER, [first.base, first.adapter]);
    await screenshot(chat.page, "compare");
    await chat.choose(BASE);
    await chat.page.getByLabel("Question").press("Enter");
    await chat.page.getByText(`${BASE} beside itself compares nothing.`).waitFor();
    await chat.choose(ADAPTER);
    assert.deepEqual(chat.errors, []);
    assert.deepEqual(chat.outgoing, []);
  });

  it("remembers and compares behind an ingress that spreads requests, also when one replica is left", async () => {
    const other = await ModelServer.start();
    const ingress = await Spread.over(server.url, other.url);
    try {
      await other.ready();
      const page = await browser.newPage({ viewport: SCREENS.wide });
      const spread = new Chat(page);
      await page.goto(ingress.url);
      await page.getByLabel("API key").fill(server.key);
      await page.getByLabel("API key").press("Enter");
      await spread.shown();
      await spread.setTemperature(0);
      await spread.ask(first.question, first.adapter);
      await spread.ask(recall.question, recall.answers[first.question] ?? "");
      await spread.ask(second.question, second.adapter);
      assert.ok(Math.min(...ingress.asked) > 10, `every replica was asked: ${String(ingress.asked)}`);
      ingress.leave(1);
      await spread.ask(recall.question, recall.answers[second.question] ?? "");
      ingress.comeBack();
      await spread.compare(first.question, ADAPTER, [first.base, first.adapter]);
      assert.deepEqual(spread.errors, []);
      await page.close();
    } finally {
      await ingress.close();
      await other.stop();
    }
  });

  for (const [screen, viewport] of Object.entries(SCREENS)) {
    for (const colorScheme of ["light", "dark"] as const) {
      it(`fits a ${screen} ${colorScheme} screen`, async () => {
        const page = await browser.newPage({ viewport, colorScheme, storageState: await chat.page.context().storageState() });
        const seen = new Chat(page);
        await page.goto(server.url);
        await seen.shown();
        await seen.setTemperature(0);
        await seen.ask(first.question, first.adapter);
        await seen.closeOptions();
        await screenshot(page, `chat-${screen}-${colorScheme}`);
        const look = await page.evaluate(() => {
          const channels = getComputedStyle(document.body).backgroundColor.match(/\d+/g)?.slice(0, 3).map(Number) ?? [];
          const input = Array.from(document.querySelectorAll("textarea")).at(-1)?.getBoundingClientRect();
          return { overflow: document.documentElement.scrollWidth - window.innerWidth, brightness: Math.max(...channels), bottom: input?.bottom ?? Infinity, height: window.innerHeight };
        });
        assert.ok(look.overflow <= 0, `${look.overflow} px stand out to the side`);
        assert.ok(look.bottom <= look.height, "the input is on the screen");
        assert.ok(colorScheme === "light" ? look.brightness > 200 : look.brightness < 60, `the background's brightness is ${look.brightness}`);
        assert.deepEqual(seen.errors, []);
        assert.deepEqual(await barriers(page), []);
        await page.close();
      });
    }
  }
});
