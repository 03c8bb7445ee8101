// The main job in a real VS Code: from a fine-tuned model on a share to a chat page in which it answers.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { Chat } from "./chat";
import { eventually } from "./eventually";
import { fineTuningBegan, fineTuningBroke, fineTuningLeft, sampleQuestions, type Place } from "./finetuning";
import { type Host, root } from "./host";
import { nothingIsToBeDone, planIsApplied, planIsOpened } from "./plans";
import { setUpIsChecked } from "./preflight";
import { startingSlowly } from "./releases";
import { rowsOfferCommands } from "./rows";
import { diagnosticsAreCollected } from "./sharing";
import { adapterIsUploaded } from "./uploads";
import { Stage } from "./stage";
import type { Window } from "./window";

const PROVISION = "Provision Azure Container Apps for inference";
const DEPLOY = "Deploy for inference";
const LOCAL = "Runs on this machine";
const KEYS = ["SUBSCRIPTION_ID", "RESOURCE_GROUP_NAME", "STORAGE_ACCOUNT_NAME", "FILE_SHARE_NAME", "ACA_APP_NAME", "ACA_APP_ENDPOINT"];

describe("the main job in a real VS Code", function () {
  this.timeout(600_000);
  const stage = Stage.of("job");
  let folder: string;
  const config = (): Readonly<Record<string, string | null>> => JSON.parse(readFileSync(path.join(folder, "infra/inference.config.json"), "utf8")) as Record<string, string | null>;
  let signIns: string;
  const signedIn = (): readonly string[] => readFileSync(signIns, "utf8").split("\n").filter((line) => line.includes("signedIn"));
  let host: Host;
  let window: Window;
  let place: Place;
  let chat: Chat;
  let key: string;
  const asked = async (given: string): Promise<number> => (await fetch(`http://${config()["ACA_APP_ENDPOINT"]}/v1/models`, { headers: { authorization: `Bearer ${given}` } })).status;
  const shownKey = async (): Promise<string> => {
    await window.dialog.getByText("API key of the inference endpoint").waitFor({ timeout: 90_000 });
    const shown = (await window.dialog.locator(".dialog-message-detail").innerText()).trim();
    await window.answer("Cancel");
    return shown;
  };

  before(async () => {
    folder = path.join(stage.scratch, "phi-finetuned");
    signIns = path.join(stage.scratch, "sign-ins.jsonl");
    host = await stage.start({ extensions: [path.join(root, "tests/e2e/sign-in")], env: { SLIPWAY_TEST_SIGN_INS: signIns } });
    place = fineTuningBegan("rg-finetuning", host.env);
    mkdirSync(path.join(folder, "infra"), { recursive: true });
    writeFileSync(path.join(folder, "infra/finetuning.config.json"), JSON.stringify({ ...place, STORAGE_ACCOUNT_NAME: null, FILE_SHARE_NAME: null, ACA_JOB_NAME: null, COMMANDS: null }));
    window = await host.open(folder);
  });

  it("the first command makes the extension's private Python environment, showing what it does", async () => {
    await window.run("AI Toolkit: Create project files");
    await window.notification("preparing its Python packages").waitFor({ timeout: 90_000 });
    await window.screenshot("python packages");
    await window.notification(/\d+ project files were created in phi-finetuned/).waitFor({ timeout: 240_000 });
    assert.equal(await window.notification("preparing its Python packages").count(), 0);
    const [environment, ...others] = readdirSync(path.join(host.globalStorage, "environments"));
    assert.match(environment ?? "", /^[0-9a-f]{16}-py3\./);
    assert.deepEqual(others, []);
    await window.clearNotifications();
  });

  it("the project files are the documented ones, with nothing provisioned", () => {
    for (const file of ["infra/provision/inference.bicep", "infra/provision/inference.parameters.json", "inference/__main__.py"]) {
      assert.ok(existsSync(path.join(folder, file)), file);
    }
    assert.deepEqual(Object.keys(config()).sort(), [...KEYS].sort());
    assert.ok(Object.values(config()).every((value) => value === null));
  });

  it("the set-up is checked before anything is made: what fails stands at its line, and nothing fails once it is put right", () =>
    setUpIsChecked(window, folder, [LOCAL, place.RESOURCE_GROUP_NAME]));

  it("Deploy says that nothing is provisioned, and offers to do that", async () => {
    await window.run(`AI Toolkit: ${DEPLOY}`);
    await window.press("Nothing is provisioned for this folder yet", PROVISION);
    await window.question.filter({ hasText: `${PROVISION} (1/2)` }).waitFor({ timeout: 120_000 });
  });

  it("Provision offers Azure beside the local cloud, and signs in only when asked to", async () => {
    await window.choices("Sign in to Azure…").first().waitFor({ timeout: 120_000 });
    await window.choices(LOCAL).first().waitFor({ timeout: 120_000 });
    assert.deepEqual(signedIn(), []);
    await window.choose("Sign in to Azure…");
    await window.answer("Allow");
    await window.choices(LOCAL).first().waitFor({ timeout: 120_000 });
    assert.deepEqual(signedIn(), [JSON.stringify({ signedIn: ["https://management.azure.com/.default"] })]);
  });

  it("Provision asks for the subscription and the resource group, with fine-tuning's pre-selected", async () => {
    await window.choices(new RegExp(`${LOCAL}.*\\(used by this project\\)`)).and(window.focused).waitFor({ timeout: 120_000 });
    await window.screenshot("provision 1 subscription");
    await window.page.keyboard.press("Enter");
    await window.question.filter({ hasText: `${PROVISION} (2/2)` }).waitFor();
    await window.choices(place.RESOURCE_GROUP_NAME).and(window.focused).waitFor({ timeout: 90_000 });
    await window.screenshot("provision 2 resource group");
  });

  it("a new resource group can be made on the way, and every step leads back", async () => {
    await window.choose("Create new…");
    await window.question.filter({ hasText: "New resource group (1/2)" }).waitFor();
    assert.equal(await window.typed(), "rg-phi-finetuned", "a name is proposed");
    await window.type("ends with a dot.");
    await window.page.getByText("1 to 90 letters, digits").waitFor();
    await window.type("rg-new");
    await window.question.filter({ hasText: "New resource group (2/2)" }).waitFor();
    await window.choices("Sweden Central").filter({ hasText: "swedencentral, offers A100, T4" }).waitFor({ timeout: 90_000 });
    await window.screenshot("provision 3 region");
    for (const step of ["New resource group (1/2)", "inference (2/2)", "inference (1/2)"]) {
      await window.back();
      await window.question.filter({ hasText: step }).waitFor();
    }
    await window.choose(LOCAL);
    await window.question.filter({ hasText: "(2/2)" }).waitFor();
  });

  it("another place than fine-tuning's has to be meant", async () => {
    await window.choose("Create new…");
    await window.question.filter({ hasText: "New resource group (1/2)" }).waitFor();
    await window.type("rg-elsewhere");
    await window.choose("Sweden Central");
    await window.dialog.getByText("This project has used another place so far: resource group rg-finetuning.").waitFor({ timeout: 90_000 });
    await window.screenshot("provision 4 another place");
    await window.answer("Cancel");
    await window.run(`AI Toolkit: ${PROVISION}`);
    await window.choose(LOCAL);
    await window.choices("rg-elsewhere").waitFor({ timeout: 90_000 });
  });

  it("Provision opens its plan before anything is made: what is created, which files, what an hour costs; and a new one where it no longer holds", () =>
    planIsOpened(window, place.RESOURCE_GROUP_NAME, folder, config));

  it("Provision shows its progress and writes the six keys", async () => {
    await planIsApplied(window, PROVISION);
    const written = config();
    assert.deepEqual(Object.keys(written).sort(), [...KEYS].sort());
    for (const key of KEYS) assert.equal(typeof written[key], "string", key);
    assert.equal(written["SUBSCRIPTION_ID"], place.SUBSCRIPTION_ID);
    assert.equal(written["RESOURCE_GROUP_NAME"], place.RESOURCE_GROUP_NAME);
    assert.ok(window.log.includes(`The inference endpoint is available at http://${written["ACA_APP_ENDPOINT"]}`), window.log);
  });

  it("Provision's last notification offers Deploy, which syncs, restarts and waits until the model answers", async () => {
    fineTuningLeft(folder, host.env);
    await window.press("Provisioned.", DEPLOY);
    await window.step(DEPLOY, /(Loading|Replica|Warming|Waiting).*…/);
    await window.screenshot("deploy 1 progress");
    await window.notification("Deployed: the model answers").waitFor({ timeout: 240_000 });
    await window.notification(/It runs on cpu, \w*float\d+/).waitFor();
    await window.screenshot("deploy 2 done");
    assert.match(window.log, /The model runs on cpu: numbers in \w*float\d+, dense attention\./);
    assert.match(window.log, /The inference endpoint is available at http:\/\/127\.0\.0\.2:\d+/);
  });

  it("the view and the status bar say in words what runs where", async () => {
    const view = await window.showView();
    await view.getByRole("treeitem", { name: /^State: ready/ }).waitFor({ timeout: 90_000 });
    await view.getByRole("treeitem", { name: /^Replicas: 1/ }).waitFor();
    await view.getByRole("treeitem", { name: /^Release: [0-9a-f]{12} \(generation 1\)/ }).waitFor();
    await view.getByRole("treeitem", { name: /^gpu_model: adapter [0-9a-f]{12}/ }).waitFor();
    await view.getByRole("treeitem", { name: "GPU: none (cpu)" }).waitFor();
    await view.getByRole("treeitem", { name: /^Number format: \w*float\d+/ }).waitFor();
    await view.getByRole("treeitem", { name: "Attention: dense" }).waitFor();
    await view.getByRole("treeitem", { name: /^Last looked at: \d+:\d+/ }).waitFor();
    await view.getByRole("treeitem", { name: new RegExp(`^Endpoint: http://${config()["ACA_APP_ENDPOINT"]}`) }).waitFor();
    await window.statusBar.getByRole("button", { name: "Slipway: ready" }).waitFor();
    await window.screenshot("view");
  });

  it("each row of the view offers what can be done with it", () => rowsOfferCommands(window, `http://${config()["ACA_APP_ENDPOINT"]}`));

  it("Go to Inference Endpoint opens the chat page, logged in", async () => {
    const opened = window.page.context().waitForEvent("page", { timeout: 120_000 });
    await window.press("Deployed: the model answers", "Go to Inference Endpoint");
    await window.openExternally();
    chat = new Chat(await opened);
    await chat.shown();
    assert.equal(new URL(chat.page.url()).host, config()["ACA_APP_ENDPOINT"]);
    assert.equal(new URL(chat.page.url()).pathname, "/", "the one-time link is left behind");
  });

  it("the fine-tuned model answers in the chat page, over several turns, and nothing is asked of another machine", async () => {
    await chat.reload();
    assert.equal(await chat.model(), "gpu_model");
    await chat.setTemperature(0);
    const [first, second] = sampleQuestions(host.env);
    assert.ok(first !== undefined && second !== undefined);
    assert.notEqual(first.adapter, first.base);
    await chat.ask(first.question, first.adapter);
    await chat.ask(second.question, /\w+/);
    await window.screenshotOf(chat.page, "chat");
    assert.deepEqual(chat.errors, []);
    for (const seen of [/\/$/, /\/assets\/.+\.js/, /\/gradio_api\/queue\/turn/]) {
      assert.ok(chat.requests.some((address) => seen.test(address)), `the page was watched while it asked for ${seen.source}`);
    }
    assert.deepEqual(chat.outgoing, []);
    await chat.page.close();
  });

  it("Provision again: the plan says that there is nothing to do, and nothing is written", () =>
    nothingIsToBeDone(window, [LOCAL, place.RESOURCE_GROUP_NAME], folder));

  it("Show API key shows the key on request, and no log holds it", async () => {
    await window.run("AI Toolkit: Show API key");
    key = await shownKey();
    assert.equal(await asked(key), 200);
    assert.ok(!window.log.includes(key), "the log holds the API key");
    assert.doesNotMatch(window.log, /e30\.|dGVzdA/, "the log holds a token");
  });

  it("Deploy can be cancelled, and says what came of it", () => startingSlowly(folder, async () => {
    await window.run(`AI Toolkit: ${DEPLOY}`);
    await window.step(DEPLOY, /(Starting|Installing|Loading).*…/);
    await window.press(`${DEPLOY} (`, "Cancel");
    await window.notification(/Cancelled. Nothing was exchanged: release [0-9a-f]{12} goes on serving. Run the command again to go on from here./).waitFor({ timeout: 90_000 });
    await window.screenshot("deploy 3 cancelled");
    await window.clearNotifications();
  }));

  it("killing the sidecar while it works is said plainly, ends nothing in the cloud, and it is started again", () => startingSlowly(folder, async () => {
    const cloud = host.localCloud;
    await window.run(`AI Toolkit: ${DEPLOY}`);
    await window.step(DEPLOY, /(Starting|Installing|Loading).*…/);
    const killed = window.sidecar;
    process.kill(killed, "SIGKILL");
    await window.notification("ended while it was working").waitFor({ timeout: 90_000 });
    await window.screenshot("sidecar killed");
    await eventually("another sidecar is started", 90_000, () => window.sidecar !== killed);
    assert.equal(host.localCloud, cloud);
    assert.ok(runs(cloud));
  }));

  it("what the server refuses is told: in Deploy's outcome, the view, the status bar and the chat page", async () => {
    fineTuningBroke(folder, host.env);
    await window.clearNotifications();
    await window.run(`AI Toolkit: ${DEPLOY}`);
    const told = /but the server refuses the adapter gpu_model: models\/qlora\/.*is truncated/;
    await window.notification(told).waitFor({ timeout: 240_000 });
    await window.screenshot("refused 1 deploy");
    const view = await window.showView();
    await view.getByRole("treeitem", { name: "State: ready, but adapters are refused: gpu_model" }).waitFor({ timeout: 90_000 });
    await view.getByRole("treeitem", { name: /^gpu_model: refused: models\/qlora\/.*is truncated/ }).waitFor();
    await window.statusBar.getByRole("button", { name: "Slipway: ready, but adapters are refused: gpu_model" }).waitFor();
    await window.screenshot("refused 2 view");
    const opened = window.page.context().waitForEvent("page", { timeout: 120_000 });
    await window.press(told, "Go to Inference Endpoint");
    await window.openExternally();
    const page = new Chat(await opened);
    await page.shown();
    const refused = page.page.getByLabel("On the share, but not served");
    await refused.waitFor({ timeout: 90_000 });
    assert.match(await refused.inputValue(), /^gpu_model: models\/qlora\/.*is truncated/);
    assert.equal(await page.model(), "slipway/tiny-llama");
    await window.screenshotOf(page.page, "refused 3 chat");
    await page.page.close();
    fineTuningLeft(folder, host.env);
  });

  it("Deploy without a change in the code reloads the model, also after that", async () => {
    await window.clearNotifications();
    await window.run("AI Toolkit: Show log");
    await window.run("View: Clear Output");
    const reloaded = window.said("The code has not changed; the model is reloaded.");
    await window.run(`AI Toolkit: ${DEPLOY}`);
    await window.notification("Deployed: the model answers").waitFor({ timeout: 240_000 });
    assert.equal(window.said("The code has not changed; the model is reloaded."), reloaded + 1);
    await window.openFile("infra", "inference.config.json");
    await window.run("AI Toolkit: Show log");
    const view = await window.showView();
    await view.getByRole("treeitem", { name: /^State: ready/ }).waitFor({ timeout: 90_000 });
    await window.page.locator(".part.panel").getByText("The inference endpoint is available at").last().waitFor();
    await window.screenshot("at work");
  });

  it("an adapter of this machine is uploaded from the window, and answers in the chat page without a restart", () => adapterIsUploaded(window, folder, host.env));

  it("another interpreter in the settings starts the sidecar anew, in the same private environment", async () => {
    const before = window.sidecar;
    const python = execFileSync("python3", ["-c", "import sys; print(sys.executable)"], { encoding: "utf8" }).trim();
    await window.setSetting("slipway.python.path", python);
    await eventually("another sidecar is started", 90_000, () => window.sidecar !== before);
    await eventually("the old sidecar has ended", 90_000, () => !runs(before));
    assert.equal(readdirSync(path.join(host.globalStorage, "environments")).length, 1);
  });

  it("leaves nothing running in the notifications", async () => {
    await window.clearNotifications();
    await window.screenshot("afterwards");
  });

  it("a reloaded window shows the state by itself, without a question or a download", async () => {
    await window.page.reload();
    await window.statusBar.getByRole("button", { name: "Slipway: ready" }).waitFor({ timeout: 120_000 });
    assert.equal(await window.notifications.count(), 0);
  });

  it("Keep warm is seen in the status bar for as long as it is on", async () => {
    const command = "AI Toolkit: Keep warm while this window is open";
    await window.run(command);
    const warm = window.statusBar.getByRole("button", { name: /is kept warm, its GPU is awake and billed/ });
    await warm.waitFor({ timeout: 120_000 });
    await window.screenshot("kept warm");
    await window.run(command);
    await window.notification("is no longer kept warm").waitFor({ timeout: 90_000 });
    await warm.waitFor({ state: "hidden" });
    await window.clearNotifications();
  });

  it("the endpoint is copied as code that names its address and holds no key", async () => {
    for (const [language, sign] of [["curl", "curl --fail"], ["Python", "from openai"], ["JavaScript", "fetch("]] as const) {
      await window.run(`AI Toolkit: Copy as ${language}`);
      await window.notification("Copied. The key is read from the variable SLIPWAY_API_KEY").waitFor({ timeout: 90_000 });
      const code = await window.clipboard();
      for (const part of [sign, `http://${config()["ACA_APP_ENDPOINT"]}/v1`, "SLIPWAY_API_KEY"]) assert.ok(code.includes(part), code);
      assert.ok(!code.includes(key), language);
      await window.clearNotifications();
    }
  });

  it("Rotate API key gives a new one, and callers with the old one are answered as before", async () => {
    const old = key;
    await window.run("AI Toolkit: Rotate API key");
    await window.dialog.getByText("Give the endpoint of phi-finetuned a new API key?").waitFor({ timeout: 90_000 });
    await window.answer("Rotate");
    await window.answer("Continue"); // the one GPU is in use: the old replica ends first
    await window.press(/Both keys of .+ are accepted/, "Show API key");
    key = await shownKey();
    assert.notEqual(key, old);
    assert.deepEqual([await asked(key), await asked(old), await asked("wrong")], [200, 200, 401]);
    assert.ok(!window.log.includes(key), "the log holds the API key");
    await window.clearNotifications();
  });

  it("Collect diagnostics writes one file, in which no key is", () => diagnosticsAreCollected(window, host.home, key));

  it("Stop is asked about, and a stopped app is told as that, never as ready or asleep", async () => {
    await window.run("AI Toolkit: Stop inference app");
    await window.dialog.getByText("Requests are answered with 404 until it is started again").waitFor({ timeout: 90_000 });
    await window.answer("Stop");
    await window.notification("is stopped: no GPU is awake").waitFor({ timeout: 120_000 });
    const view = await window.showView();
    await view.getByRole("treeitem", { name: "State: stopped (no request wakes it)" }).waitFor({ timeout: 90_000 });
    await window.statusBar.getByRole("button", { name: "Slipway: stopped (no request wakes it)" }).waitFor();
    await window.screenshot("stopped");
    await window.clearNotifications();
  });

  it("Delete lists what stays, asks for the app's name, and the configuration forgets the app alone", async () => {
    const { ACA_APP_NAME: app, FILE_SHARE_NAME: share } = config();
    assert.ok(typeof app === "string" && typeof share === "string");
    await window.run("AI Toolkit: Delete inference resources");
    await window.choices(`share ${share}`).waitFor({ timeout: 120_000 });
    await window.screenshot("delete 1 what stays");
    await window.page.keyboard.press("Enter");
    await window.page.getByText("This can't be undone.").waitFor({ timeout: 120_000 });
    await window.screenshot("delete 2 name");
    await window.type(app);
    await window.notification(`Deleted: app ${app}`).waitFor({ timeout: 240_000 });
    assert.deepEqual([config()["ACA_APP_NAME"], config()["ACA_APP_ENDPOINT"], config()["FILE_SHARE_NAME"]], [null, null, share]);
    await window.page.getByText("This folder has no inference endpoint yet.").waitFor({ timeout: 90_000 });
    await window.screenshot("delete 3 done");
  });

  it("a Provision that was cut off is told by the next window, where nothing else makes it look", async () => {
    const journals = path.dirname(readdirSync(host.home, { recursive: true, encoding: "utf8" }).filter((each) => each.endsWith("-provision.jsonl")).map((each) => path.join(host.home, each))[0] ?? assert.fail("no journal"));
    const project = createHash("sha256").update(folder).digest("hex").slice(0, 16);
    appendFileSync(path.join(journals, `${project}-provision.jsonl`), `${JSON.stringify({ time: Date.now() / 1000, operation: "killed", pid: 0, step: "deploy" })}\n`);
    await window.page.reload();
    await window.notification("Provisioning for phi-finetuned was cut off").waitFor({ timeout: 120_000 });
    await window.press("Provisioning for phi-finetuned was cut off", "Discard");
  });
});

function runs(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ESRCH") return false;
    throw error;
  }
}
