// The chat tab's page: its HTML, its sentences in the window's language, and how the endpoint stands in words.
import { randomBytes } from "node:crypto";
import * as vscode from "vscode";
import { say } from "./messages";
import type { ChatModels, State } from "./protocol";
import type { Standing, Way, Words } from "./webview/messages";

/** Scripts and styles come from the extension alone, and nothing is fetched from anywhere. */
export function page(webview: vscode.Webview, dist: vscode.Uri): string {
  const nonce = randomBytes(16).toString("base64");
  const uri = (file: string): string => escaped(webview.asWebviewUri(vscode.Uri.joinPath(dist, file)).toString());
  const policy = `default-src 'none'; style-src ${webview.cspSource}; script-src 'nonce-${nonce}'`;
  const title = vscode.l10n.t("Chat with the deployed model");
  return `<!DOCTYPE html>
<html lang="${escaped(vscode.env.language)}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${escaped(policy)}">
<title>${escaped(title)}</title>
<link rel="stylesheet" href="${uri("chat.css")}">
</head>
<body data-words="${escaped(JSON.stringify(words()))}">
<script nonce="${nonce}" src="${uri("page.js")}"></script>
</body>
</html>`;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll('"', "&quot;").replaceAll("<", "&lt;");
}

/** How the endpoint stands, and what leads on from there. */
export function standing(found: ChatModels): Standing {
  const { state, models, sentence, app, release } = found;
  const place = [app ?? "", release === null || release === "" ? "" : vscode.l10n.t("release {release}", { release: release.slice(0, 12) })].filter((each) => each !== "").join(", ");
  const told = condition(state, models.length);
  return {
    found,
    text: place === "" ? told : `${place}: ${told}`,
    detail: sentence !== null ? say(sentence) : state === "asleep" ? billed(found.cooldown) : "",
    asleep: state === "asleep" || state === "starting",
    ways: leading(state),
  };
}

function billed(cooldown: number): string {
  return vscode.l10n.t("Nothing is asked of it before you say so. Waking it takes minutes; its GPU is billed from then on, until {seconds} s after the last request.", { seconds: String(cooldown) });
}

function condition(state: State, models: number): string {
  switch (state) {
    case "ready":
      return models === 1 ? vscode.l10n.t("one model answers") : vscode.l10n.t("{count} models answer", { count: String(models) });
    case "unverified":
      return vscode.l10n.t("running; its server has no health check of ours");
    case "asleep":
      return vscode.l10n.t("asleep, no GPU is awake");
    case "starting":
      return vscode.l10n.t("starting");
    case "stopped":
      return vscode.l10n.t("stopped; no request wakes it");
    case "waiting-for-first-deploy":
      return vscode.l10n.t("provisioned, and waiting for a model: deploy for inference first");
    case "not-provisioned":
      return vscode.l10n.t("nothing is provisioned for this folder yet");
    case "missing":
      return vscode.l10n.t("the container app does not exist any more");
    case "failed":
      return vscode.l10n.t("it has failed");
  }
}

function leading(state: State): readonly { readonly way: Way; readonly title: string }[] {
  const deploy = { way: "slipway.deploy", title: vscode.l10n.t("Deploy for inference") } as const;
  const start = { way: "slipway.start", title: vscode.l10n.t("Start inference app") } as const;
  const why = { way: "slipway.diagnose", title: vscode.l10n.t("Why is it not ready?") } as const;
  const logs = { way: "slipway.showLogs", title: vscode.l10n.t("Endpoint's logs") } as const;
  switch (state) {
    case "ready":
    case "asleep":
      return [];
    case "starting":
    case "failed":
      return [why, logs];
    case "unverified":
      return [logs];
    case "stopped":
      return [start];
    case "waiting-for-first-deploy":
    case "not-provisioned":
    case "missing":
      return [deploy];
  }
}

function words(): Words {
  return {
    chatWith: vscode.l10n.t("Chat with {model}"),
    chat: vscode.l10n.t("Chat with the deployed model"),
    compareOf: vscode.l10n.t("{against} beside {model}"),
    newChat: vscode.l10n.t("New conversation"),
    lookAgain: vscode.l10n.t("Look again"),
    wake: vscode.l10n.t("Wake it"),
    stopWaking: vscode.l10n.t("Stop waiting"),
    message: vscode.l10n.t("Message"),
    placeholder: vscode.l10n.t("Ask the model. Enter sends, Shift+Enter begins a new line, Esc stops the answer."),
    send: vscode.l10n.t("Send"),
    stop: vscode.l10n.t("Stop"),
    regenerate: vscode.l10n.t("Regenerate"),
    options: vscode.l10n.t("Sampling, and this call as code"),
    model: vscode.l10n.t("Model"),
    against: vscode.l10n.t("Beside"),
    compare: vscode.l10n.t("Compare two models"),
    onlyOne: vscode.l10n.t("(only one model answers)"),
    sameModel: vscode.l10n.t("Choose two different models: {model} beside itself compares nothing."),
    noModel: vscode.l10n.t("No model answers now: what stands above says why, and what helps."),
    base: vscode.l10n.t("base model"),
    adapter: vscode.l10n.t("adapter"),
    system: vscode.l10n.t("System prompt"),
    temperature: vscode.l10n.t("Temperature"),
    topP: vscode.l10n.t("Top-p"),
    maxTokens: vscode.l10n.t("Most new tokens"),
    seed: vscode.l10n.t("Seed"),
    serverChooses: vscode.l10n.t("as the server has it"),
    outOfRange: vscode.l10n.t("A number from {least} to {most}, or nothing."),
    copyAs: vscode.l10n.t("Copy this call as code, without the key:"),
    copyAnswer: vscode.l10n.t("Copy answer"),
    copyCode: vscode.l10n.t("Copy code"),
    you: vscode.l10n.t("You"),
    conversation: vscode.l10n.t("Conversation"),
    empty: vscode.l10n.t("Nothing has been asked yet. What you ask goes to your own endpoint, is in no log, and stays in this window's state."),
    release: vscode.l10n.t("release {release}"),
    files: vscode.l10n.t("files {hash}"),
    unnamed: vscode.l10n.t("The server names no release."),
    waiting: vscode.l10n.t("Waiting for the first word…"),
    answering: vscode.l10n.t("Answering…"),
    answered: vscode.l10n.t("{model}: {text}"),
    stopped: vscode.l10n.t("Stopped."),
    cut: vscode.l10n.t("Ends here: no more tokens were asked for."),
    failed: vscode.l10n.t("No answer: {problem}"),
    tokens: vscode.l10n.t("{count} tokens"),
    thoughts: vscode.l10n.t("What it thought before"),
    noText: vscode.l10n.t("It said nothing."),
  };
}
