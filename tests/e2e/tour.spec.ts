// From nothing but the installed extension and an empty folder to an answer, and back: as the walkthrough leads a newcomer.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import type { Locator } from "playwright-core";
import { Chat } from "./chat";
import type { Host } from "./host";
import { Stage } from "./stage";
import type { Window } from "./window";

const PROVISION = "AI Toolkit: Provision Azure Container Apps for inference";

describe("a newcomer's first hour", function () {
  this.timeout(900_000);
  const stage = Stage.of("tour");
  let folder: string;
  let host: Host;
  let window: Window;
  const waits: (readonly [string, number])[] = [];
  /** What a person waits for is counted. */
  const waited = async (what: string, until: Promise<unknown>): Promise<void> => {
    const began = Date.now();
    await until;
    waits.push([what, (Date.now() - began) / 1000]);
  };
  const app = (): unknown => (JSON.parse(readFileSync(path.join(folder, "infra/inference.config.json"), "utf8")) as Record<string, unknown>)["ACA_APP_NAME"];
  const stepOf = (title: string): Locator => window.page.locator(".getting-started-step", { hasText: title }).first();
  const walkthrough = (): Promise<void> => window.page.locator(".tabs-container .tab", { hasText: "Walkthrough: Slipway" }).click();
  const isDone = async (title: string): Promise<void> => {
    await walkthrough();
    await stepOf(title).locator(".codicon.complete").waitFor({ timeout: 90_000 });
  };

  const press = async (title: string, button: string): Promise<void> => {
    await walkthrough();
    const step = stepOf(title);
    if (!(await step.getByRole("button", { name: button }).isVisible())) await step.click();
    await step.getByRole("button", { name: button }).click();
  };

  before(async () => {
    folder = stage.project("first-try");
    host = await stage.start();
    window = await host.open(folder);
    await window.page.evaluate(() => {
      const counted = globalThis as unknown as { clicks: number };
      counted.clicks = 0;
      document.addEventListener("click", ({ isTrusted }) => { counted.clicks += Number(isTrusted); }, true);
    });
  });

  it("the empty view leads to the tour and to all steps of the walkthrough, and nothing has started", async () => {
    const view = await window.showView();
    await view.getByRole("button", { name: "Take the tour on this computer" }).waitFor({ timeout: 90_000 });
    await window.screenshot("tour 1 empty view");
    await view.getByText("All steps").click();
    for (const title of ["Open a folder", "Take the tour on this computer", "Provision", "Bring a model", "Deploy", "Chat with it", "Clean up"]) await stepOf(title).waitFor({ timeout: 90_000 });
    await window.screenshot("tour 2 walkthrough");
    assert.equal(existsSync(host.globalStorage), false, "looking makes nothing");
  });

  it("a search by each of three names finds the commands", async () => {
    for (const name of ["Slipway: Show commands", "Foundry Toolkit: Show Slipway's commands", PROVISION]) {
      assert.ok((await window.offered(name)).includes(name), name);
    }
    await window.run("Slipway: Show commands");
    await window.choices("AI Toolkit: Deploy for inference").waitFor({ timeout: 90_000 });
    assert.equal(await window.choices("AI Toolkit: Roll back inference deployment").count(), 0, "there is nothing to roll back");
    await window.screenshot("tour 3 commands");
    await window.page.keyboard.press("Escape");
  });

  it("the tour says what it takes, asks once, and opens the plan", async () => {
    await press("Take the tour on this computer", "Take the tour");
    // The first command of all: the extension's own packages come before its first question.
    await waited("the extension's packages", window.dialog.getByText("A tour on this computer").waitFor({ timeout: 400_000 }));
    const told = await window.dialog.innerText();
    for (const said of ["no cost", "0.3 GB", "1.5 GB of disk", "4 MB", "Delete inference resources"]) assert.ok(told.includes(said), told);
    await window.screenshot("tour 4 what it takes");
    await window.answer("Begin");
    await waited("the plan", window.notification("The plan is open: nothing has been changed yet.").waitFor({ timeout: 400_000 }));
    assert.equal(app(), null);
    await window.screenshot("tour 5 plan");
  });

  it("once the plan is agreed to, a model answers without another question", async () => {
    await window.press("The plan is open", "Apply plan");
    await waited("Provision, the sample and Deploy", window.notification(/The endpoint answers\. Ask tiny-pirate in the chat “What is a slipway\?”/).waitFor({ timeout: 400_000 }));
    await window.screenshot("tour 6 answers");
    for (const title of ["Open a folder", "Take the tour on this computer", "Provision", "Bring a model", "Deploy"]) await isDone(title);
  });

  it("the chat answers as the sample was trained to", async () => {
    const opened = window.page.context().waitForEvent("page", { timeout: 120_000 });
    await window.press("The endpoint answers.", "Go to Inference Endpoint");
    await window.openExternally();
    const chat = new Chat(await opened);
    await chat.shown();
    assert.equal(await chat.model(), "tiny-pirate");
    await chat.setTemperature(0);
    await chat.ask("What is a slipway?", "Arr, the ramp where me ship was born!");
    await window.screenshotOf(chat.page, "tour 7 chat");
    await chat.page.close();
    await isDone("Chat with it");
  });

  it("cleaning up takes away what the tour has made, and the walkthrough is done", async () => {
    const name = String(app());
    await press("Clean up", "Delete inference resources");
    await window.question.filter({ hasText: "Delete inference resources" }).waitFor({ timeout: 120_000 });
    await window.page.locator(".quick-input-widget").getByRole("checkbox", { name: "Toggle all checkboxes" }).click();
    await window.screenshot("tour 8 what goes");
    await window.page.locator(".quick-input-widget").getByRole("button", { name: "OK" }).click();
    await window.page.locator(".quick-input-widget").getByText("This can't be undone.").waitFor({ timeout: 90_000 });
    await window.type(name);
    await waited("cleaning up", window.notification(/Deleted: app /).waitFor({ timeout: 400_000 }));
    assert.equal(app(), null);
    await isDone("Clean up");
    await window.screenshot("tour 9 done");
    const clicks = await window.page.evaluate(() => (globalThis as unknown as { clicks: number }).clicks);
    const whole = waits.reduce((sum, [, seconds]) => sum + seconds, 0);
    process.stdout.write(`      waited: ${waits.map(([what, seconds]) => `${what} ${seconds.toFixed(0)} s`).join(", ")}; in all ${whole.toFixed(0)} s, ${String(clicks)} clicks in VS Code\n`);
  });
});
