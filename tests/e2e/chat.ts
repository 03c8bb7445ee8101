// The deployed endpoint's chat page in a browser, as a person uses it.
import type { Locator, Page } from "playwright-core";
import { PATIENCE, eventually } from "./eventually";

export class Chat {
  /** What the page's own scripts failed at. */
  readonly errors: string[] = [];
  /** Every address that the page asked for, whether it was allowed to or not. */
  readonly requests: string[] = [];

  /** Who gave the last answer, as it says itself. */
  answeredBy = "";

  constructor(readonly page: Page) {
    page.setDefaultTimeout(PATIENCE);
    page.on("pageerror", (error) => this.errors.push(error.message));
    page.on("request", (request) => this.requests.push(request.url()));
  }

  /** Loads the page once more: what it asked for before it was watched, it asks for again. */
  async reload(): Promise<void> {
    this.requests.length = 0;
    await this.page.reload();
    await this.shown();
  }

  /** The requests that went over the network to anywhere but this machine. */
  get outgoing(): readonly string[] {
    return this.requests.filter((address) => /^(https?|wss?):/.test(address) && !/^127\.\d+\.\d+\.\d+$/.test(new URL(address).hostname));
  }

  /** The page has loaded and shows its input. */
  async shown(): Promise<void> {
    await this.input.waitFor({ timeout: 240_000 });
  }

  /** Takes the chance out of the answers. */
  async setTemperature(value: number): Promise<void> {
    await this.openOptions();
    const number = this.page.getByLabel("number input for Temperature");
    const slider = this.page.getByLabel("range slider for Temperature");
    // The page fills its inputs in once more when it has loaded.
    await eventually(`the temperature is ${value}`, 90_000, async () => {
      await number.fill(String(value));
      await number.press("Enter");
      return (await slider.inputValue()) === String(value);
    });
  }

  /** Chooses the model or adapter that answers. */
  async choose(name: string): Promise<void> {
    await this.openOptions();
    const choice = this.page.getByLabel("Model or adapter");
    await choice.click();
    await this.page.getByRole("option", { name, exact: true }).click();
    await eventually(`${name} is chosen`, 90_000, async () => (await choice.inputValue()) === name);
  }

  /** Sends a message and, once `begun` has come true, stops its answer by the button that stands there while one is awaited. */
  async askAndStop(question: string, begun: () => Promise<boolean>): Promise<void> {
    await this.input.fill(question);
    await this.input.press("Enter");
    await this.stop.waitFor();
    await eventually("the question has arrived", 90_000, begun);
    await this.stop.click();
    await this.stop.waitFor({ state: "hidden" });
  }

  /** Asks the base and the chosen model the same, and gives both answers once they are as long as these. */
  async compare(question: string, chosen: string, expected: readonly [string, string]): Promise<void> {
    await this.page.getByRole("tab", { name: "Compare" }).click();
    const asked = this.page.getByLabel("Question");
    await asked.fill(question);
    await asked.press("Enter");
    const answers = [this.page.getByLabel("Base: "), this.page.getByLabel(`Chosen model: ${chosen}`)];
    await eventually(`both answers to "${question}"`, 240_000, async () => {
      const seen = await Promise.all(answers.map(async (each) => (await each.inputValue()).trim()));
      if (seen[0] === expected[0] && seen[1] === expected[1]) return true;
      throw new Error(`they are: ${seen.join(" | ")}`);
    });
  }

  async closeOptions(): Promise<void> {
    if (!(await this.page.getByLabel("Model or adapter").isVisible())) return;
    await this.page.getByRole("button", { name: "Model and sampling" }).click();
    await this.page.getByLabel("Model or adapter").waitFor({ state: "hidden" });
  }

  private get stop(): Locator {
    return this.page.locator("button.stop-button");
  }

  /** The model or adapter that is chosen. */
  async model(): Promise<string> {
    await this.openOptions();
    return this.page.getByLabel("Model or adapter").inputValue();
  }

  /** Sends a message and waits until the answer, which grows as it is streamed, is as expected. */
  async ask(question: string, expected: string | RegExp): Promise<void> {
    const answers = this.page.getByTestId("bot");
    const before = await answers.count();
    await this.input.fill(question);
    await this.input.press("Enter");
    let last = "";
    const matches = (): boolean => (typeof expected === "string" ? last === expected : expected.test(last));
    await eventually(`the answer ${String(expected)} to "${question}"`, 240_000, async () => {
      if ((await answers.count()) <= before) return false;
      const [name = "", ...said] = (await answers.last().innerText()).trim().split(/\n+/);
      last = said.join("\n");
      this.answeredBy = name.trim();
      if (matches()) return true;
      throw new Error(`it is: ${last}`);
    });
  }

  /** The last answer that is shown. */
  get last(): Locator {
    return this.page.getByTestId("bot").last();
  }

  /** What is shown of the conversation, question and answer in turn. */
  async turns(): Promise<readonly string[]> {
    return (await this.page.locator('[data-testid="user"], [data-testid="bot"]').allInnerTexts()).map((each) => each.trim());
  }

  private get input(): Locator {
    // Gradio puts the button into the label.
    return this.page.getByRole("textbox", { name: /^Message (Send|Stop)$/ });
  }

  /** Who answers, by the page's heading. */
  get heading(): Locator {
    return this.page.getByRole("heading", { level: 1 });
  }

  private async openOptions(): Promise<void> {
    if (await this.page.getByLabel("Model or adapter").isVisible()) return;
    await this.page.getByRole("button", { name: "Model and sampling" }).click();
    await this.page.getByLabel("Model or adapter").waitFor();
  }
}
