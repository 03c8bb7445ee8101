// An adapter of this machine, from a folder to the chat page in which it answers.
import assert from "node:assert/strict";
import { cpSync } from "node:fs";
import path from "node:path";
import type process from "node:process";
import { Chat } from "./chat";
import { eventually } from "./eventually";
import { sampleFolder, sampleQuestions } from "./finetuning";
import type { Window } from "./window";

const UPLOAD = "Upload model or adapter";

/** Uploaded from the window, it answers in the chat page at once: nothing is deployed, and no replica starts. */
export async function adapterIsUploaded(window: Window, folder: string, env: typeof process.env): Promise<void> {
  const source = path.join(path.dirname(folder), "runs", "second", "adapter");
  cpSync(path.join(sampleFolder(env), "models/qlora/qlora/gpu_model/adapter"), source, { recursive: true });
  const replicas = async (): Promise<string> => (await window.showView()).getByRole("treeitem", { name: /^Replicas: 1/ }).innerText();
  const before = await replicas();
  await window.clearNotifications();
  await window.run(`AI Toolkit: ${UPLOAD}`);
  await window.question.filter({ hasText: UPLOAD }).waitFor({ timeout: 90_000 });
  await window.chooseFolder(source, "Upload");
  await window.page.getByText("Name by which it is called").waitFor({ timeout: 90_000 });
  await window.screenshot("upload 1 name");
  await window.page.keyboard.press("Enter"); // `second`, as its folder is called
  const done = /The adapter second answers: 1 of 1 replicas have it/;
  await window.notification(done).waitFor({ timeout: 120_000 });
  await window.screenshot("upload 2 done");
  const opened = window.page.context().waitForEvent("page", { timeout: 120_000 });
  await window.press(done, "Go to Inference Endpoint");
  await window.openExternally();
  const chat = new Chat(await opened);
  await chat.shown();
  await chat.choose("second");
  await chat.setTemperature(0);
  const [first] = sampleQuestions(env);
  assert.ok(first !== undefined);
  await chat.ask(first.question, first.adapter);
  await window.screenshotOf(chat.page, "upload 3 chat");
  await chat.page.close();
  const view = await window.showView();
  await view.getByRole("treeitem", { name: /^second: adapter [0-9a-f]{12}/ }).waitFor({ timeout: 90_000 });
  assert.equal(await replicas(), before, "the replica is the same");
  await eventually("no question is open", 90_000, async () => !(await window.question.isVisible()));
}
