// Questions in steps: subscription and resource group, with back, step count and "create new".
import * as vscode from "vscode";
import { sameGroup } from "./config";
import { meant } from "./enter";
import type { CloudName, Location, ResourceGroup, Subscription, Tenant } from "./protocol";

/** What the questions need to know; each list is asked for when its step opens. */
export interface Source {
  /** Where subscriptions may be, and what is pre-selected. Both may come later than the question. */
  readonly known: Promise<Known>;
  /** Whether the local cloud is among them, as far as this machine alone can tell. */
  readonly local: boolean;
  /** A name for a resource group that has none yet. */
  readonly proposed: string;
  subscriptions(cloud: CloudName): Promise<Found>;
  resourceGroups(subscription: Subscription): Promise<readonly ResourceGroup[]>;
  locations(subscription: Subscription): Promise<readonly Location[]>;
  createResourceGroup(subscription: Subscription, name: string, location: string): Promise<ResourceGroup>;
  signIn(cloud: CloudName, tenantId: string | null): Promise<boolean>;
}

export interface Found {
  readonly subscriptions: readonly Subscription[];
  readonly problems: readonly string[];
  /** Tenants of the person's whose subscriptions are listed once they have signed in there. */
  readonly signedOut: readonly Tenant[];
  readonly signedIn: boolean;
}

export interface Target {
  readonly subscription: Subscription;
  readonly resourceGroup: string;
}

export interface Known {
  /** Each is asked by itself: a slow one holds up nobody else's. */
  readonly clouds: readonly CloudName[];
  readonly defaults: Defaults;
}

/** What fine-tuning, or an earlier run, used: pre-selected. */
export interface Defaults {
  readonly subscriptionId: string | null;
  readonly resourceGroup: string | null;
}

/** Undefined when the person leaves the questions. */
export async function pickTarget(title: string, source: Source): Promise<Target | undefined> {
  for (;;) {
    const subscription = await pickSubscription(title, source);
    if (subscription === undefined) return undefined;
    const { defaults } = await source.known;
    const resourceGroup = await pickResourceGroup(title, source, subscription, defaults);
    if (resourceGroup === undefined) return undefined;
    if (resourceGroup !== BACK) return { subscription, resourceGroup };
  }
}

const BACK = Symbol("back");
type Back = typeof BACK;

interface Choice<T> extends vscode.QuickPickItem {
  readonly value?: T;
}

interface Step<T> {
  readonly title: string;
  readonly step: number;
  readonly totalSteps: number;
  readonly placeholder: string;
  /** Shown in this order. */
  readonly choices: readonly Part<T>[];
  /** Asked once rows have come. */
  readonly preferred?: (value: T) => boolean;
}

/** Rows that are asked for. What stands in their place `meanwhile` can be chosen already, so that no row comes to stand above the
 * one that a person is about to choose. */
interface Part<T> {
  readonly meanwhile: readonly Choice<T>[];
  readonly found: Promise<readonly Choice<T>[]>;
}

class SignIn {
  constructor(
    readonly cloud: CloudName,
    readonly tenantId: string | null,
  ) {}
}

async function pickSubscription(title: string, source: Source): Promise<Subscription | undefined> {
  let used: string | null = null;
  const among = async (which: (cloud: CloudName) => boolean): Promise<readonly Choice<Subscription | SignIn>[]> => {
    const { clouds, defaults } = await source.known;
    used = defaults.subscriptionId;
    return (await Promise.all(clouds.filter(which).map((cloud) => subscriptionChoices(cloud, source, defaults)))).flat();
  };
  for (;;) {
    const chosen = await pick<Subscription | SignIn>({
      title,
      step: 1,
      totalSteps: 2,
      placeholder: vscode.l10n.t("Select the subscription to provision in"),
      choices: [
        { meanwhile: source.local ? [local(vscode.l10n.t("Local cloud"))] : [], found: among((cloud) => cloud === "local") },
        { meanwhile: [], found: among((cloud) => cloud !== "local") },
      ],
      preferred: (value) => !(value instanceof SignIn) && value.id === used,
    });
    if (chosen === undefined || chosen === BACK) return undefined;
    if (!(chosen instanceof SignIn)) return chosen;
    await source.signIn(chosen.cloud, chosen.tenantId);
  }
}

/** As the local cloud calls its subscription. */
const LOCAL_NAME = "Local cloud";

/** All in the label: VS Code shows a row's other texts once more in a box over the row below. */
function local(name: string, value?: Subscription): Choice<Subscription | SignIn> {
  const label = `$(vm) ${name} · ${vscode.l10n.t("Runs on this machine: no account, no GPU, no cost")}`;
  return value === undefined ? { label } : { label, value };
}

function marked(choice: Choice<Subscription | SignIn>, used: boolean): Choice<Subscription | SignIn> {
  return used ? { ...choice, label: `${choice.label} (${vscode.l10n.t("used by this project")})` } : choice;
}

async function subscriptionChoices(cloud: CloudName, source: Source, defaults: Defaults): Promise<readonly Choice<Subscription | SignIn>[]> {
  const { subscriptions, problems, signedOut, signedIn } = await source.subscriptions(cloud);
  const found = subscriptions.map((subscription) => {
    const choice = cloud === "local" ? local(subscription.name === LOCAL_NAME ? vscode.l10n.t("Local cloud") : subscription.name, subscription) : { label: `$(key) ${subscription.name} · ${subscription.id}`, value: subscription };
    return marked(choice, subscription.id === defaults.subscriptionId);
  });
  const failed = problems.map((problem) => ({ label: `$(warning) ${problem}`, alwaysShow: true }));
  const none = signedIn && found.length === 0 && failed.length === 0 && signedOut.length === 0 ? [{ label: `$(warning) ${vscode.l10n.t("Your account has no subscription here.")}`, alwaysShow: true }] : [];
  const signIn = signedIn ? [] : [{ label: `$(sign-in) ${vscode.l10n.t("Sign in to Azure…")}`, alwaysShow: true, value: new SignIn(cloud, null) }];
  const elsewhere = signedOut.map(({ name, tenantId }) => ({
    label: `$(sign-in) ${vscode.l10n.t("Sign in to the tenant {name}…", { name })} ${vscode.l10n.t("Its subscriptions are listed after that.")}`,
    alwaysShow: true,
    value: new SignIn(cloud, tenantId),
  }));
  return [...found, ...elsewhere, ...failed, ...none, ...signIn];
}

/** A value of its own: a resource group may be called anything. */
const CREATE = Symbol("create");
type Create = typeof CREATE;

async function pickResourceGroup(title: string, source: Source, subscription: Subscription, defaults: Defaults): Promise<string | Back | undefined> {
  for (;;) {
    const chosen = await pick<string | Create>({
      title,
      step: 2,
      totalSteps: 2,
      placeholder: vscode.l10n.t("Select the resource group to provision in"),
      choices: [{ meanwhile: [], found: groupChoices(source, subscription, defaults) }],
      preferred: (value) => value !== CREATE && sameGroup(value, defaults.resourceGroup),
    });
    if (chosen !== CREATE) return chosen;
    const created = await createGroup(title, source, subscription);
    if (created !== BACK) return created;
  }
}

async function groupChoices(source: Source, subscription: Subscription, defaults: Defaults): Promise<readonly Choice<string | Create>[]> {
  const groups = await source.resourceGroups(subscription);
  const isDefault = (name: string): boolean => subscription.id === defaults.subscriptionId && sameGroup(name, defaults.resourceGroup);
  return [
    { label: `$(add) ${vscode.l10n.t("Create new…")}`, alwaysShow: true, value: CREATE },
    ...groups.map(({ name, location }) => ({
      label: name,
      description: isDefault(name) ? `${location}, ${vscode.l10n.t("used by this project")}` : location,
      value: name,
    })),
  ];
}

async function createGroup(title: string, source: Source, subscription: Subscription): Promise<string | Back | undefined> {
  const asked = `${title}: ${vscode.l10n.t("New resource group")}`;
  let typed = source.proposed;
  for (;;) {
    const name = await input(asked, typed);
    if (name === undefined || name === BACK) return name;
    typed = name;
    const location = await pick<string>({
      title: asked,
      step: 2,
      totalSteps: 2,
      placeholder: vscode.l10n.t("Select the region of the new resource group {name}", { name }),
      choices: [{ meanwhile: [], found: source.locations(subscription).then((all) => all.map((each) => ({ label: each.displayName, description: `${each.name}, ${gpusOf(each)}`, value: each.name }))) }],
    });
    if (location === undefined) return undefined;
    if (location !== BACK) return (await source.createResourceGroup(subscription, name, location)).name;
  }
}

function gpusOf({ gpus }: Location): string {
  if (gpus === null) return vscode.l10n.t("GPUs not known");
  return gpus.length === 0 ? vscode.l10n.t("no GPU") : vscode.l10n.t("offers {gpus}", { gpus: gpus.join(", ") });
}

/** One list. Without a Back button in the first step. Failing to load it is the caller's to show. */
async function pick<T>({ title, step, totalSteps, placeholder, choices, preferred }: Step<T>): Promise<T | Back | undefined> {
  const quickPick = vscode.window.createQuickPick<Choice<T>>();
  Object.assign(quickPick, { title, step, totalSteps, placeholder, busy: true, ignoreFocusOut: true, matchOnDescription: true, matchOnDetail: true });
  quickPick.buttons = step > 1 ? [vscode.QuickInputButtons.Back] : [];
  const answer = new Promise<T | Back | undefined>((resolve, reject) => {
    const parts: (readonly Choice<T>[])[] = choices.map(({ meanwhile }) => meanwhile);
    let looked: Choice<T> | undefined;
    quickPick.onDidAccept(() => {
      // An Enter that crosses the arrival of rows names a row that is no more: what stands in its place is meant.
      const item = meant(quickPick.selectedItems[0], looked, quickPick.value);
      if (item?.value !== undefined) resolve(item.value);
      const early = choices.find(({ meanwhile }) => item !== undefined && meanwhile.includes(item));
      if (early === undefined) return;
      quickPick.enabled = false; // chosen before it was there: it is waited for
      early.found.then(([first]) => {
        quickPick.enabled = true;
        if (first?.value !== undefined) resolve(first.value);
      }, reject);
    });
    quickPick.onDidTriggerButton(() => {
      resolve(BACK);
    });
    quickPick.onDidHide(() => {
      resolve(undefined);
    });
    quickPick.items = parts.flat();
    const arrived = choices.map(async ({ meanwhile, found }, index) => {
      const rows = await found;
      const [active] = quickPick.activeItems;
      // Whoever has moved to a row keeps it: Enter is to choose what they look at.
      const moved = active !== undefined && active !== quickPick.items[0];
      parts[index] = rows;
      quickPick.items = parts.flat();
      const kept = active !== undefined && meanwhile.includes(active) ? rows[0] : active;
      looked = kept;
      const best = (moved ? undefined : rows.find(({ value }) => value !== undefined && preferred?.(value) === true)) ?? kept;
      if (best !== undefined) quickPick.activeItems = [best];
    });
    Promise.all(arrived).then(() => (quickPick.busy = false), reject);
  });
  quickPick.show();
  try {
    return await answer;
  } finally {
    quickPick.dispose();
  }
}

async function input(title: string, value: string): Promise<string | Back | undefined> {
  const box = vscode.window.createInputBox();
  Object.assign(box, { title, value, step: 1, totalSteps: 2, ignoreFocusOut: true, prompt: vscode.l10n.t("Name of the new resource group") });
  box.buttons = [vscode.QuickInputButtons.Back];
  const answer = new Promise<string | Back | undefined>((resolve) => {
    box.onDidChangeValue((name) => (box.validationMessage = nameProblem(name)));
    box.onDidAccept(() => {
      box.validationMessage = nameProblem(box.value);
      if (box.validationMessage === "") resolve(box.value);
    });
    box.onDidTriggerButton(() => {
      resolve(BACK);
    });
    box.onDidHide(() => {
      resolve(undefined);
    });
  });
  box.show();
  try {
    return await answer;
  } finally {
    box.dispose();
  }
}

/** Azure's rule for resource group names. */
function nameProblem(name: string): string {
  if (/^[\p{L}\p{N}_\-.()]{1,90}$/u.test(name) && !name.endsWith(".")) return "";
  return vscode.l10n.t("1 to 90 letters, digits, dots, underscores, hyphens or parentheses, without a dot at the end.");
}
