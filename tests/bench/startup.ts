// Drives a real VS Code on the packaged extension and prints how soon it shows what was asked for: a JSON line a figure.
import { cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import type { Page } from "playwright-core";
import { eventually } from "../e2e/eventually";
import { fineTuningBegan } from "../e2e/finetuning";
import { Host } from "../e2e/host";
import type { Window } from "../e2e/window";

const ROUNDS = 5;
const PROVISION = "AI Toolkit: Provision Azure Container Apps for inference";

/** What has to be seen: an element that matches, with this text in it. */
interface Sight {
  readonly selector: string;
  readonly text: string;
}

/** Milliseconds by the page's own clock from a key that is pressed until all of it is there. */
async function afterEnter(page: Page, sights: readonly Sight[]): Promise<number> {
  await page.evaluate((wanted) => {
    const seen = (): boolean => wanted.every(({ selector, text }) => Array.from(document.querySelectorAll(selector)).some((each) => each.textContent.includes(text) && each.getClientRects().length > 0));
    const timed = globalThis as unknown as { shownAfter: Promise<number> };
    timed.shownAfter = new Promise((resolve) => {
      document.addEventListener("keydown", () => {
        const began = performance.now();
        const look = (): void => {
          if (seen()) resolve(performance.now() - began);
          else requestAnimationFrame(look);
        };
        requestAnimationFrame(look);
      }, { once: true, capture: true });
    });
  }, sights);
  await page.keyboard.press("Enter");
  return page.evaluate(() => (globalThis as unknown as { shownAfter: Promise<number> }).shownAfter);
}

/** The command, chosen in the palette and not yet agreed to. */
async function chosen(window: Window, title: string): Promise<void> {
  await eventually(`the palette offers "${title}"`, 120_000, async () => {
    if ((await window.offered(title)).includes(title)) return true;
    return false;
  });
  await window.page.keyboard.press("F1");
  await window.page.locator(".quick-input-widget .quick-input-box input").fill(`>${title}`);
  await window.page.locator(".quick-input-list-entry", { hasText: title }).first().waitFor();
}

/** The extension host's own figure, as *Show Running Extensions* has it; undefined until it is activated. */
async function activation(window: Window): Promise<number | undefined> {
  await window.run("Developer: Show Running Extensions");
  const row = window.page.locator(".runtime-extensions-editor .extension", { hasText: "Slipway" }).first();
  await row.waitFor();
  const found = /Activation: (\d+)ms/.exec((await row.innerText()).replaceAll("\u00a0", " "));
  return found === null ? undefined : Number(found[1]);
}

async function main(): Promise<void> {
  const scratch = mkdtempSync(path.join(realpathSync(tmpdir()), "sw-startup-"));
  const project = path.join(scratch, "project");
  mkdirSync(project);
  const host = await Host.start();
  const rounds = new Map<string, { what: string; rounds: number[] }>();
  const told = (figure: string, what: string, value: number): void => {
    const known = rounds.get(figure) ?? { what, rounds: [] };
    known.rounds.push(Math.round(value));
    rounds.set(figure, known);
  };
  try {
    fineTuningBegan("rg-startup", host.env);
    const first = await host.open(project);
    await first.run("AI Toolkit: Create project files");
    await first.notification(/project files were created/).waitFor({ timeout: 400_000 });
    cpSync(path.join(project, "infra"), path.join(scratch, "infra"), { recursive: true });
    await first.run(PROVISION);
    await first.choose("Runs on this machine");
    await first.choose("rg-startup");
    await first.press("The plan is open", "Apply plan");
    await first.notification("Provisioned.").waitFor({ timeout: 400_000 });
    await first.close();
    for (let round = 0; round < ROUNDS; round += 1) {
      const window = await host.open(project);
      told("activation", "the extension host's own figure, a provisioned project being opened", await eventually("it is activated", 120_000, () => activation(window)));
      await chosen(window, "View: Show Slipway");
      told("view", "from the command to the endpoint's row, in a window that has just been opened", await afterEnter(window.page, [{ selector: ".part.sidebar .monaco-list-row", text: "Endpoint" }]));
      await window.page.reload();
      const began = Date.now();
      await window.statusBar.getByText("Slipway: waiting for the first deploy").waitFor({ timeout: 60_000 });
      told("state after a reload", "from the reloaded page to the state that was read anew, VS Code's own start included", Date.now() - began);
      await window.close();
      // Opened without infra/, so that nothing has begun before the command itself.
      const bare = path.join(scratch, `bare-${String(round)}`);
      mkdirSync(bare);
      const cold = await host.open(bare);
      await activationOfOthers(cold);
      cpSync(path.join(scratch, "infra"), path.join(bare, "infra"), { recursive: true });
      await chosen(cold, PROVISION);
      told("first picker", "from the first command of a window, nothing of Slipway running, to its question with a row", await afterEnter(cold.page, [{ selector: ".quick-input-title", text: "(1/2)" }, { selector: ".quick-input-list .monaco-list-row", text: "Local cloud" }]));
      await cold.page.keyboard.press("Escape");
      await cold.close();
    }
  } catch (error) {
    await host.keepEvidence({ title: "startup", state: "failed" });
    throw error;
  } finally {
    await host.stop();
    rmSync(scratch, { recursive: true, force: true });
  }
  for (const [figure, { what, rounds: values }] of rounds) process.stdout.write(`${JSON.stringify({ figure, what, rounds: values })}\n`);
}

/** Until the extension host is there, by its own list: a command would wait for that, and not for us. */
async function activationOfOthers(window: Window): Promise<void> {
  await window.run("Developer: Show Running Extensions");
  await window.page.locator(".runtime-extensions-editor .extension").first().waitFor();
  await window.page.keyboard.press("Escape");
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exitCode = 1;
});
