// The chat tab's page: shows the conversation, takes what the person writes, and asks the extension, which asks the sidecar.
import { Answers } from "./answers";
import { again, begun, chosen, ended, failed, fresh, grown, live, named, requestFor, restored, wrong, RANGES } from "./conversation";
import { button, element, field, filled, setText } from "./elements";
import type { FromPage, Kept, Language, Sampling, Standing, ToPage, Words } from "./messages";

declare function acquireVsCodeApi(): { postMessage: (message: FromPage) => void; getState: () => unknown; setState: (state: Kept) => void };

const vscode = acquireVsCodeApi();
const words = JSON.parse(document.body.dataset["words"] ?? "{}") as Words;
const tell = (message: FromPage): void => { vscode.postMessage(message); };

let kept: Kept = restored(vscode.getState()) ?? fresh("");
let standing: Standing = { found: null, text: "", detail: "", asleep: false, ways: [] };
let waking = false;

// What the person operates.
const input = element("textarea", { id: "input", rows: "3", placeholder: words.placeholder });
const send = button(words.send, ask, { id: "send" });
const stop = button(words.stop, stopAll, { id: "stop", class: "second", hidden: true });
const refusal = element("p", { id: "refusal", role: "alert" });
const model = element("select", { id: "model" });
const against = element("select", { id: "against" });
const comparing = element("input", { id: "comparing", type: "checkbox" });
const onlyOne = element("span", { id: "only-one", class: "hint", hidden: true }, words.onlyOne);
const againstField = field(words.against, against);
const system = element("textarea", { id: "system", rows: "2" });
const numbers = (["temperature", "topP", "maxTokens", "seed"] as const).map((name) => ({ name, control: element("input", { id: name, type: "text", inputmode: "decimal", placeholder: words.serverChooses, "aria-describedby": `${name}-problem` }), problem: element("span", { id: `${name}-problem`, class: "problem" }) }));

// What is shown.
const heading = element("h1", { id: "heading" }, words.chat);
const state = element("p", { id: "state", role: "status" });
const detail = element("p", { id: "detail" });
const ways = element("div", { id: "ways" });
const log = element("section", { id: "log", tabindex: "0", "aria-label": words.conversation });
const told = element("p", { id: "told", class: "unseen", role: "status", "aria-live": "polite" });
const answers = new Answers(log, words, { copy: (text) => { tell({ type: "copy", text }); }, regenerate });

build();
input.value = kept.draft;
show();
window.addEventListener("message", ({ data }: MessageEvent<ToPage>) => { hear(data); });
tell({ type: "ready" });
input.focus();

function build(): void {
  const copies = (["curl", "python", "javascript"] as const).map((language) => button({ curl: "curl", python: "Python", javascript: "JavaScript" }[language], () => { copyAs(language); }, { class: "second" }));
  const sampling = element(
    "details",
    { id: "options" },
    element("summary", {}, words.options),
    element(
      "div",
      { class: "options" },
      field(words.system, system),
      ...numbers.map(({ name, control, problem }) => field(words[name], control, problem)),
      element("div", { class: "copies", role: "group", "aria-labelledby": "copy-as" }, element("span", { id: "copy-as" }, words.copyAs), ...copies),
    ),
  );
  const compare = element("p", { class: "field check" }, comparing, element("label", { for: "comparing" }, words.compare), onlyOne);
  const form = element("form", { id: "ask", "aria-label": words.message }, element("label", { for: "input", class: "unseen" }, words.message), input, refusal, element("div", { class: "buttons" }, send, stop));
  document.body.append(
    element("header", {}, heading, element("div", { class: "standing" }, state, detail, ways), element("div", { class: "who-asked" }, field(words.model, model), compare, againstField), sampling),
    element("main", {}, log),
    element("footer", {}, form, told),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    ask();
  });
  input.addEventListener("keydown", (event) => {
    // While an input method composes, Enter ends its word.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    ask();
  });
  document.addEventListener("keydown", ({ key }) => {
    if (key === "Escape" && live(kept).length > 0) stopAll();
  });
  input.addEventListener("input", () => { change({ ...kept, draft: input.value }); });
  model.addEventListener("change", () => { change({ ...kept, model: model.value }); });
  against.addEventListener("change", () => { change({ ...kept, against: against.value }); });
  comparing.addEventListener("change", () => { change({ ...kept, comparing: comparing.checked }); });
  const set = (name: keyof Sampling, value: string): void => { change({ ...kept, sampling: { ...kept.sampling, [name]: value } }); };
  system.addEventListener("input", () => { set("system", system.value); });
  for (const { name, control } of numbers) control.addEventListener("input", () => { set(name, control.value); });
}

function hear(message: ToPage): void {
  switch (message.type) {
    case "opened":
      change(restored(message.kept) ?? (kept.folder === message.folder ? kept : fresh(message.folder)));
      if (input.value === "") input.value = kept.draft;
      break;
    case "standing":
      standing = message.standing;
      waking = false;
      change(standing.found === null || standing.found.models.length === 0 ? kept : chosen(kept, standing.found.models));
      break;
    case "waking":
      waking = true;
      standing = { ...standing, text: message.text };
      show();
      break;
    case "began":
      change(named(kept, message.id, message.who));
      break;
    case "text":
      change(grown(kept, message.id, message.text, message.thought));
      break;
    case "ended":
      change(ended(kept, message.id, message.finish, message.tokens));
      finished(message.id);
      break;
    case "failed":
      change(failed(kept, message.id, message.problem));
      finished(message.id);
      break;
    case "said":
      told.textContent = message.text;
      break;
  }
}

/** Told once, whole: a screen reader would stumble over an answer that is told as it grows. */
function finished(id: string): void {
  const answer = kept.turns.flatMap((turn) => turn.answers).find((each) => each.id === id);
  if (answer === undefined) return;
  const who = answer.who?.model ?? answer.asked;
  const said = answer.state === "failed" ? filled(words.failed, { problem: answer.problem }) : answer.state === "stopped" ? words.stopped : answer.text;
  setText(told, filled(words.answered, { model: who, text: said }));
  if (live(kept).length === 0 && (document.activeElement === document.body || document.activeElement === stop)) input.focus();
}

/** Milliseconds: VS Code writes down what a page has set itself only now and then; what the extension keeps, at once. */
const KEEP_AFTER = 250;

let drawing = 0;
/** Whether the person has been told what is in the way of sending. */
let refused = false;
let keeping: ReturnType<typeof setTimeout> | undefined;

function change(next: Kept): void {
  kept = next;
  // Many pieces of an answer may come between two pictures, and no picture is made of a tab that stands behind another.
  drawing ||= requestAnimationFrame(() => {
    drawing = 0;
    show();
  });
  keeping ??= setTimeout(() => {
    keeping = undefined;
    vscode.setState(kept);
    tell({ type: "keep", kept });
  }, KEEP_AFTER);
}

function show(): void {
  const listed = standing.found?.models ?? [];
  const busy = live(kept).length > 0;
  setText(heading, kept.comparing ? filled(words.compareOf, { model: kept.model, against: kept.against }) : kept.model === "" ? words.chat : filled(words.chatWith, { model: kept.model }));
  setText(state, standing.text);
  setText(detail, standing.detail);
  showWays();
  offer(model, listed, kept.model);
  offer(against, listed, kept.against);
  const alone = listed.length < 2;
  comparing.checked = kept.comparing;
  comparing.disabled = alone;
  onlyOne.hidden = !alone || listed.length === 0;
  againstField.hidden = !kept.comparing;
  for (const [control, value] of [[system, kept.sampling.system], ...numbers.map(({ name, control }) => [control, kept.sampling[name]] as const)] as const) if (control.value !== value) control.value = value;
  const bad = wrong(kept.sampling);
  for (const { name, control, problem } of numbers) {
    const { least, most } = RANGES[name];
    control.setAttribute("aria-invalid", String(bad.includes(name)));
    setText(problem, bad.includes(name) ? filled(words.outOfRange, { least: String(least), most: String(most) }) : "");
  }
  // Two of the same are said where they are chosen; what else is in the way, once something was to be sent, for as long as it is.
  const why = refused ? hindrance() : "";
  refused = why !== "";
  setText(refusal, kept.comparing && kept.model === kept.against ? filled(words.sameModel, { model: kept.model }) : why);
  if (busy && document.activeElement === send) stop.hidden = false;
  const hadFocus = document.activeElement === send;
  send.hidden = busy;
  stop.hidden = !busy;
  if (busy && hadFocus) stop.focus();
  for (const each of document.querySelectorAll<HTMLButtonElement>(".regenerate")) each.disabled = busy;
  answers.show(kept.turns);
}

function showWays(): void {
  const wanted = JSON.stringify([waking, standing.asleep, standing.ways]);
  if (ways.dataset["shown"] === wanted) return;
  ways.dataset["shown"] = wanted;
  const wake = standing.asleep && !waking ? [button(words.wake, () => { tell({ type: "wake" }); }, { id: "wake" })] : [];
  const leave = waking ? [button(words.stopWaking, () => { tell({ type: "stopWaking" }); }, { class: "second" })] : [];
  const others = standing.ways.map(({ way, title }) => button(title, () => { tell({ type: "go", way }); }, { class: "second" }));
  const look = button(words.lookAgain, () => { tell({ type: "look" }); }, { class: "second" });
  const clear = button(words.newChat, () => {
    stopAll();
    change({ ...kept, turns: [] });
    input.focus();
  }, { class: "second" });
  ways.replaceChildren(...wake, ...leave, ...others, ...(waking ? [] : [look]), clear);
}

function offer(control: HTMLSelectElement, listed: readonly { readonly name: string; readonly base: boolean }[], value: string): void {
  const wanted = JSON.stringify(listed.map(({ name, base }) => [name, base]));
  if (control.dataset["offered"] !== wanted) {
    control.dataset["offered"] = wanted;
    control.replaceChildren(...listed.map(({ name, base }) => element("option", { value: name }, `${name} (${base ? words.base : words.adapter})`)));
    control.disabled = listed.length === 0;
  }
  control.value = value;
}

/** Why nothing can be sent now; empty where it can. */
function hindrance(): string {
  if ((standing.found?.models.length ?? 0) === 0) return words.noModel;
  if (kept.comparing && kept.model === kept.against) return filled(words.sameModel, { model: kept.model });
  const [first] = wrong(kept.sampling);
  return first === undefined ? "" : `${words[first]}: ${filled(words.outOfRange, { least: String(RANGES[first].least), most: String(RANGES[first].most) })}`;
}

function ask(): void {
  if (live(kept).length > 0 || input.value.trim() === "") return;
  refused = hindrance() !== "";
  if (refused) {
    show();
    document.getElementById("wake")?.focus();
    return;
  }
  const models = kept.comparing ? [kept.against, kept.model] : [kept.model];
  const asked = models.map((each) => ({ id: crypto.randomUUID(), model: each }));
  kept = begun(kept, input.value, asked);
  input.value = "";
  request();
}

function regenerate(): void {
  if (live(kept).length > 0) return;
  kept = again(kept, () => crypto.randomUUID());
  request();
  input.focus();
}

/** Sends what the last turn asks. */
function request(): void {
  for (const { id, asked } of kept.turns.at(-1)?.answers ?? []) tell({ type: "ask", id, request: requestFor(kept, asked) });
  setText(told, words.waiting);
  change(kept);
  // At once: until the next picture the answer of before would stand there as if it were this one.
  show();
  log.scrollTop = log.scrollHeight;
}

function stopAll(): void {
  for (const id of live(kept)) tell({ type: "stop", id });
}

/** The last question, or the one that is being written. */
function copyAs(language: Language): void {
  const asked = kept.turns.length === 0 || input.value.trim() !== "" ? begun(kept, input.value.trim() === "" ? "Hello" : input.value, []) : kept;
  tell({ type: "code", language, request: requestFor(asked, kept.model) });
}
