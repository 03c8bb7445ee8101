// The chat tab in VS Code as a person uses it. It is a page within two frames.
import { readFileSync } from "node:fs";
import path from "node:path";
import type { Frame, FrameLocator, Locator, Page } from "playwright-core";
import { eventually } from "./eventually";
import { root } from "./host";

export class ChatTab {
  private readonly frame: FrameLocator;

  constructor(private readonly page: Page) {
    this.frame = page.frameLocator("iframe.webview").frameLocator("iframe#active-frame");
  }

  get input(): Locator {
    return this.frame.getByRole("textbox", { name: "Message" });
  }

  get state(): Locator {
    return this.frame.locator("#state");
  }

  get heading(): Locator {
    return this.frame.getByRole("heading", { level: 1 });
  }

  button(name: string): Locator {
    return this.frame.getByRole("button", { name, exact: true });
  }

  field(name: string): Locator {
    return this.frame.getByLabel(name, { exact: true });
  }

  get alert(): Locator {
    return this.frame.getByRole("alert");
  }

  /** What a screen reader was told last. */
  get told(): Locator {
    return this.frame.locator("#told");
  }

  /** The parts of one answer, by their classes. */
  answer(turn: number, place = 0): Locator {
    return this.frame.locator(".turn").nth(turn).locator(".answer").nth(place);
  }

  async options(): Promise<void> {
    if (await this.field("System prompt").isVisible()) return;
    await this.frame.getByText("Sampling, and this call as code").click();
    await this.field("System prompt").waitFor();
  }

  async closeOptions(): Promise<void> {
    if (await this.field("System prompt").isVisible()) await this.frame.getByText("Sampling, and this call as code").click();
  }

  /** The text of an answer once it is whole. */
  async said(turn: number, place = 0): Promise<string> {
    await this.answer(turn, place).and(this.frame.locator("[aria-busy=false]")).waitFor({ timeout: 120_000 });
    return (await this.answer(turn, place).locator(".said").innerText()).trim();
  }

  async send(text: string): Promise<void> {
    await this.input.fill(text);
    await this.input.press("Enter");
  }

  /** The inner frame itself, for scripts. */
  async inside(): Promise<Frame> {
    return eventually("the tab's page", 90_000, async () => {
      for (const each of this.page.frames()) if ((await each.locator("#input").count()) > 0) return each;
      return undefined;
    });
  }

  /** What stands out to the side: in the page, or in a part of it that would have to be scrolled sideways. */
  async overflowing(): Promise<readonly string[]> {
    return (await this.inside()).evaluate(() =>
      [document.documentElement, ...Array.from(document.querySelectorAll("body, body *:not(pre, code, .unseen, .unseen *)"))].filter((each) => each.scrollWidth > each.clientWidth + 1 && each.clientWidth > 0).map((each) => `${each.tagName} ${each.id} ${each.className}`),
    );
  }
}

interface Violation {
  readonly id: string;
  readonly impact: string | null;
  readonly help: string;
  readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[];
}

/** What axe-core calls serious or critical in a page or a frame. */
export async function barriers(where: Page | Frame): Promise<readonly string[]> {
  await where.evaluate(readFileSync(path.join(root, "node_modules/axe-core/axe.min.js"), "utf8"));
  const found = await where.evaluate(async () => {
    const { axe } = globalThis as unknown as { axe: { run: (what: Document) => Promise<{ violations: Violation[] }> } };
    return (await axe.run(document)).violations;
  });
  return found.filter(({ impact }) => impact === "serious" || impact === "critical").map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary ?? ""}`).join("\n")}`);
}
