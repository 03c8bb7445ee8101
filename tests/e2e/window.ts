// A VS Code window as a person uses it: palette, quick picks, notifications, views. The page object of the journeys.
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import type { Locator, Page } from "playwright-core";
import { eventually } from "./eventually";

const screenshots = path.resolve(__dirname, "../../screenshots");

export class Window {
  constructor(
    readonly page: Page,
    private readonly home: string,
  ) {}

  /** Runs a command from the palette, by its title with or without its category. The extension host needs a while to register commands,
   * so the palette is asked again. Enter takes the focused row, which for a moment is one of before: it is pressed once that row is it.
   * What the command before shows may take the keyboard a moment later, and close the palette: then it is opened once more. */
  async run(title: string): Promise<void> {
    const named = (label: string): boolean => label.trim() === title || label.trim().endsWith(`: ${title}`);
    await eventually(`the palette offers "${title}"`, 120_000, async () => {
      await this.openPalette(title);
      await eventually(`"${title}" is the row that Enter takes`, 5_000, async () => {
        if (named(await this.focused.locator(".label-name").first().innerText({ timeout: 1_000 }))) return true;
        const labels = await this.page.locator(".quick-input-list-entry .label-name").allInnerTexts();
        if (labels.some(named)) await this.page.keyboard.press("ArrowDown");
        return false;
      });
      return this.enterIsHeard();
    });
  }

  /** Presses Enter; whether it came to the palette. */
  private async enterIsHeard(): Promise<boolean> {
    await this.input.evaluate((input: HTMLInputElement) => {
      input.dataset["enter"] = "";
      input.addEventListener("keydown", ({ key }) => { input.dataset["enter"] = key; }, { once: true, capture: true });
    });
    await this.page.keyboard.press("Enter");
    // A command that loads the page anew takes the box away, or the page while it is asked: then Enter was heard.
    const key = await this.page.evaluate(() => document.querySelector<HTMLElement>(".quick-input-widget .quick-input-box input")?.dataset["enter"]).catch(() => undefined);
    return key === undefined || key === "Enter";
  }

  /** What the palette offers for these letters, once it offers anything. */
  async offered(letters: string, screenshot?: string): Promise<readonly string[]> {
    const labels = await eventually(`the palette offers something for "${letters}"`, 120_000, async () => {
      await this.openPalette(letters);
      const found = await this.page.locator(".quick-input-list-entry .label-name").allInnerTexts();
      return found.includes("No matching commands") ? undefined : found;
    });
    if (screenshot !== undefined) await this.screenshot(screenshot);
    await this.page.keyboard.press("Escape");
    return labels;
  }

  private async openPalette(letters: string): Promise<void> {
    // Escape without an open palette would put the notifications away.
    if (await this.input.isVisible()) await this.page.keyboard.press("Escape");
    await this.page.keyboard.press("F1");
    await this.input.fill(`>${letters}`, { timeout: 15_000 });
    await this.page.locator(".quick-input-list .monaco-list-row").first().waitFor({ timeout: 15_000 });
  }

  private get input(): Locator {
    return this.page.locator(".quick-input-widget .quick-input-box input");
  }

  /** The open question: its title bar, for example "Provision … (1/2)". */
  get question(): Locator {
    return this.page.locator(".quick-input-widget .quick-input-title");
  }

  /** The rows of the open question. VS Code hides what a row of before has said and keeps its text: for a moment two may match. */
  choices(text: string | RegExp): Locator {
    return this.page.locator(".quick-input-widget .quick-input-list .monaco-list-row", { hasText: text });
  }

  /** The row that Enter would take. */
  get focused(): Locator {
    return this.page.locator(".quick-input-widget .quick-input-list .monaco-list-row.focused");
  }

  async choose(text: string | RegExp): Promise<void> {
    const row = this.choices(text).first();
    await row.waitFor({ timeout: 120_000 });
    await row.click();
  }

  /** What stands in the open question's box. */
  async typed(): Promise<string> {
    return this.input.inputValue();
  }

  async type(text: string): Promise<void> {
    await this.input.fill(text);
    await this.page.keyboard.press("Enter");
  }

  /** Names a folder of this machine in VS Code's own dialog for files, once that has proposed one: till then it writes over what is
   * typed. `button`: by which it is agreed to. */
  async chooseFolder(folder: string, button: string): Promise<void> {
    await eventually("a folder is proposed", 90_000, async () => (await this.input.inputValue()) !== "");
    await eventually(`${folder} is typed`, 90_000, async () => {
      await this.input.fill(folder);
      return (await this.input.inputValue()) === folder;
    });
    await this.page.locator(".quick-input-widget").getByRole("button", { name: button, exact: true }).click();
  }

  async back(): Promise<void> {
    await this.page.locator(".quick-input-widget .quick-input-titlebar").getByRole("button", { name: "Back" }).click();
  }

  /** A notification that holds this text, shown now or kept in the notification centre. */
  notification(text: string | RegExp): Locator {
    return this.page.locator(".notification-list-item, .notification-toast", { hasText: text }).first();
  }

  /** A running operation's notification, once it says which step it is at. */
  async step(title: string, step: RegExp): Promise<void> {
    await this.notification(title).filter({ hasText: step }).waitFor({ timeout: 120_000 });
  }

  async clearNotifications(): Promise<void> {
    await this.run("Notifications: Clear All Notifications");
    await eventually("no notification is left", 90_000, async () => (await this.notifications.count()) === 0);
  }

  /** Buttons whose words are longer than there is room for. */
  async cutOff(where: Locator): Promise<readonly string[]> {
    return where.locator(".monaco-button, button").evaluateAll((buttons) => buttons.filter((each) => {
      const words = document.createRange();
      words.selectNodeContents(each);
      const style = getComputedStyle(each);
      return each.clientWidth > 0 && words.getBoundingClientRect().width > each.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight) + 1;
    }).map((each) => each.textContent));
  }

  get notifications(): Locator {
    return this.page.locator(".notification-toast");
  }

  /** Presses a notification's button. Notifications with buttons stay until they are answered; none of their words is cut off. */
  async press(text: string | RegExp, button: string): Promise<void> {
    await this.notification(text).waitFor({ timeout: 90_000 });
    assert.deepEqual(await this.cutOff(this.notification(text)), [], "cut off");
    await this.notification(text).getByRole("button", { name: button }).click({ timeout: 90_000 });
  }

  /** The open modal dialog. */
  get dialog(): Locator {
    return this.page.locator(".monaco-dialog-box");
  }

  async answer(button: string): Promise<void> {
    await this.dialog.getByRole("button", { name: button, exact: true }).click();
  }

  /** The extension's own view. */
  async showView(): Promise<Locator> {
    await this.run("View: Show Slipway");
    const view = this.page.locator(".part.sidebar");
    await view.getByText("Inference Endpoint", { exact: false }).first().waitFor({ timeout: 90_000 });
    return view;
  }

  get statusBar(): Locator {
    return this.page.locator(".part.statusbar");
  }

  /** How often the log says this. */
  said(text: string): number {
    return this.log.split(text).length - 1;
  }

  /** Waits until the explorer shows a folder. code-server at times reads a .code-workspace file too early and shows it empty. */
  async showsFolder(name: string): Promise<void> {
    const folder = this.page.locator(".explorer-folders-view").getByRole("treeitem", { name, exact: true });
    const empty = this.page.getByText("You have not yet added a folder to the workspace.");
    await eventually(`the explorer shows the folder ${name}`, 120_000, async () => {
      await folder.or(empty).first().waitFor({ timeout: 90_000 });
      if (await folder.isVisible()) return true;
      await this.page.reload();
      return false;
    });
  }

  /** Opens a file by way of the explorer. */
  async openFile(folder: string, file: string): Promise<void> {
    await this.run("View: Show Explorer");
    const explorer = this.page.locator(".explorer-folders-view");
    const target = explorer.getByRole("treeitem", { name: file });
    if (!(await target.isVisible())) await explorer.getByRole("treeitem", { name: folder, exact: true }).click();
    await target.dblclick();
    await this.page.locator(".tabs-container .tab", { hasText: file }).waitFor();
  }

  /** Sets a text setting in the settings editor, where settings of the machine stand under "Remote". */
  async setSetting(id: string, value: string): Promise<void> {
    await this.run("Preferences: Open User Settings");
    const editor = this.page.locator(".settings-editor");
    await editor.getByText("Remote [").click();
    await editor.locator(".settings-header .monaco-editor").click();
    await this.page.keyboard.type(`@id:${id}`);
    const input = editor.locator(`input[aria-label="${id}"]`);
    await input.fill(value, { timeout: 90_000 });
    await input.press("Enter");
  }

  /** What the person could paste now. */
  async clipboard(): Promise<string> {
    await this.page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
    return this.page.evaluate(() => navigator.clipboard.readText());
  }

  /** The process of the sidecar that was started last, as the log names it. */
  get sidecar(): number {
    const started = [...this.log.matchAll(/Sidecar started \(process (\d+)\)/g)].at(-1)?.[1];
    if (started === undefined) throw new Error("no sidecar has been started");
    return Number(started);
  }

  /** Everything that the output channel has received in all windows of this host. */
  get log(): string {
    const logs = path.join(this.home, "data/logs");
    if (!existsSync(logs)) return "";
    const files = readdirSync(logs, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith("slipway.slipway/Slipway.log"));
    return files.map((file) => readFileSync(path.join(logs, file), "utf8")).join("");
  }

  /** VS Code asks before it opens a page outside, where the host is not trusted yet. */
  async openExternally(): Promise<void> {
    await eventually("the page is opened outside", 90_000, async () => {
      const ask = this.dialog.getByRole("button", { name: "Open", exact: true });
      if (await ask.isVisible()) await ask.click();
      return this.page.context().pages().length > 1;
    });
  }

  /** Kept as an artefact of the run. */
  async screenshot(name: string): Promise<void> {
    await this.screenshotOf(this.page, name);
  }

  async screenshotOf(page: Page, name: string): Promise<void> {
    mkdirSync(screenshots, { recursive: true });
    await page.screenshot({ path: path.join(screenshots, `${name}.png`) });
  }

  async close(): Promise<void> {
    await this.page.context().close();
  }
}
