// GENERATED from sidecar/wire/protocol.py by `npm run fix`. Do not edit.

export type CloudName = "auto" | "local" | "azure" | "azureChina" | "azureUSGovernment";
export type AzureCloud = "azure" | "azureChina" | "azureUSGovernment";
export type ChatRole = "system" | "user" | "assistant";
export type ChatFinish = "stop" | "length" | "stopped";
export type State = "not-provisioned" | "missing" | "stopped" | "asleep" | "starting" | "waiting-for-first-deploy" | "ready" | "failed" | "unverified";
export type Phase = "waiting-for-first-deploy" | "dependencies" | "checking" | "fetching-base" | "loading-base" | "loading-adapters" | "warming-up" | "ready" | "failed";
export type LogSource = "console" | "system";
export type StrategyWish = "auto" | "in-place" | "revision" | "restart";
export type Remedy = "start" | "deploy" | "provision" | "rollback" | "logs" | "systemLogs";
export type Verdict = "PASS" | "WARN" | "FAIL" | "UNVERIFIED";
export type PlanAction = "create" | "update" | "unchanged" | "delete";

export interface BicepChecked {
  readonly file: string;
  readonly compilations: readonly BicepCompilation[];
  readonly agree: boolean | null;
  readonly sentence: Sentence | null;
}

export interface BicepCheckParams {
  readonly operation: string;
  readonly folder: string;
  readonly file: string;
  readonly compiler: "auto" | "cli" | "own";
}

export interface BicepCompilation {
  readonly compiler: "cli" | "own";
  readonly version: string | null;
  readonly path: string | null;
  readonly outcome: "compiled" | "refused" | "outside" | "failed";
  readonly sentence: Sentence;
  readonly problems: readonly FileProblem[];
}

export interface BicepInstalled {
  readonly version: string;
  readonly path: string;
  readonly before: boolean;
}

export interface BicepInstallParams {
  readonly operation: string;
  readonly version: string | null;
  readonly consents: readonly string[];
}

export interface CancelParams {
  readonly operation: string;
  readonly folder: string;
  readonly cloud: CloudName;
  readonly target: ProvisionTarget | null;
}

export interface ProvisionCancelled {
  readonly deployments: readonly string[];
  readonly sentence: Sentence;
}

export interface ProvisionTarget {
  readonly cloud: CloudName;
  readonly subscriptionId: string;
  readonly resourceGroup: string;
}

export interface ChatAnswer {
  readonly finish: ChatFinish;
  readonly promptTokens: number | null;
  readonly answerTokens: number | null;
}

export interface ChatBegan {
  readonly operation: string;
  readonly model: string;
  readonly release: string | null;
  readonly hash: string | null;
}

export interface ChatCode {
  readonly code: string;
}

export interface ChatCodeParams {
  readonly folder: string;
  readonly cloud: CloudName;
  readonly language: "url" | "curl" | "python" | "javascript";
  readonly request: ChatRequest;
}

export interface ChatMessage {
  readonly role: ChatRole;
  readonly content: string;
}

export interface ChatModel {
  readonly name: string;
  readonly base: boolean;
  readonly hash: string | null;
  readonly context: number | null;
}

export interface ChatModels {
  readonly state: State;
  readonly app: string | null;
  readonly url: string | null;
  readonly release: string | null;
  readonly models: readonly ChatModel[];
  readonly sentence: Sentence | null;
  readonly cooldown: number;
}

export interface ChatModelsParams {
  readonly operation: string;
  readonly folder: string;
  readonly cloud: CloudName;
  readonly wake: boolean;
}

export interface ChatParams {
  readonly operation: string;
  readonly folder: string;
  readonly cloud: CloudName;
  readonly request: ChatRequest;
  readonly consents: readonly string[];
}

export interface ChatRequest {
  readonly model: string;
  readonly messages: readonly ChatMessage[];
  readonly temperature: number | null;
  readonly topP: number | null;
  readonly maxTokens: number | null;
  readonly seed: number | null;
}

export interface ChatText {
  readonly operation: string;
  readonly text: string;
  readonly thought: boolean;
}

export interface Evaluated {
  readonly run: string;
  readonly report: string;
  readonly data: string;
  readonly rows: number;
  readonly against: string;
  readonly asked: number;
  readonly stored: number;
  readonly sentence: Sentence;
  readonly verdicts: readonly EvaluationVerdict[];
  readonly models: readonly EvaluationModel[];
  readonly outcomes: readonly EvaluationOutcome[];
  readonly met: boolean;
  readonly lines: readonly EvaluationLine[];
  readonly notes: readonly Sentence[];
}

export interface EvaluateParams {
  readonly operation: string;
  readonly folder: string;
  readonly cloud: CloudName;
  readonly datasets: readonly string[];
  readonly models: readonly string[];
  readonly against: string | null;
  readonly run: string | null;
  readonly most: number | null;
  readonly only: readonly string[];
  readonly anew: boolean;
  readonly consents: readonly string[];
}

export interface EvaluationAnswer {
  readonly model: string;
  readonly text: string | null;
}

export interface EvaluationCase {
  readonly id: string;
  readonly file: string;
  readonly line: number;
  readonly asked: string;
}

export interface EvaluationCases {
  readonly cases: readonly EvaluationCase[];
}

export interface EvaluationCasesParams {
  readonly folder: string;
}

export interface EvaluationFigure {
  readonly measure: "passes" | "exact" | "contains" | "regex" | "schema" | "tokenF1" | "rougeL" | "chrf" | "bleu" | "answered" | "finished" | "characters" | "tokens" | "latency" | "tokensPerSecond";
  readonly value: number;
}

export interface EvaluationLine {
  readonly id: string;
  readonly place: string;
  readonly asked: string;
  readonly answers: readonly EvaluationAnswer[];
  readonly differ: boolean;
  readonly outcome: "passed" | "failed" | "unjudged";
  readonly sentence: Sentence | null;
  readonly expected: string | null;
}

export interface EvaluationModel {
  readonly name: string;
  readonly figures: readonly EvaluationFigure[];
  readonly refused: number;
}

export interface EvaluationOutcome {
  readonly sentence: Sentence;
  readonly met: boolean | null;
}

export interface EvaluationVerdict {
  readonly model: string;
  readonly against: string;
  readonly run: string | null;
  readonly measure: "passes" | "exact" | "contains" | "regex" | "schema" | "tokenF1" | "rougeL" | "chrf" | "bleu" | "answered" | "finished" | "characters" | "tokens" | "latency" | "tokensPerSecond";
  readonly word: "better" | "worse" | "can't tell";
  readonly sentence: Sentence;
}

export interface CiInit {
  readonly top: string;
  readonly file: string;
  readonly fate: "created" | "replaced" | "unchanged";
  readonly environment: string;
  readonly variables: readonly CiVariable[];
  readonly credential: string;
  readonly repository: string | null;
  readonly commands: readonly string[];
}

export interface CiInitParams {
  readonly folder: string;
  readonly branch: string;
}

export interface CiVariable {
  readonly name: string;
  readonly value: string | null;
  readonly about: string;
}

export interface Created {
  readonly created: readonly string[];
  readonly own: readonly string[];
}

export interface FilesUpdate {
  readonly before: string | null;
  readonly version: string;
  readonly done: boolean;
  readonly files: readonly UpdatedFile[];
  readonly shipped: string;
  readonly sentence: Sentence;
}

export interface InitParams {
  readonly folder: string;
  readonly beside: boolean;
}

export interface UpdatedFile {
  readonly path: string;
  readonly kind: "added" | "replaced" | "merged" | "removed" | "conflict" | "kept" | "deleted" | "same";
}

export interface UpdateFilesParams {
  readonly folder: string;
  readonly plan: boolean;
  readonly mine: readonly string[];
  readonly theirs: readonly string[];
}

export interface Diagnosis {
  readonly state: State;
  readonly code: string;
  readonly certain: boolean;
  readonly sentence: Sentence;
  readonly advice: Sentence | null;
  readonly remedies: readonly Remedy[];
  readonly detail: string | null;
  readonly seen: readonly Sentence[];
  readonly unread: readonly Sentence[];
  readonly failure: boolean;
}

export interface LogLine {
  readonly operation: string;
  readonly source: LogSource;
  readonly revision: string;
  readonly replica: string;
  readonly time: string;
  readonly text: string;
}

export interface Logs {
  readonly lines: number;
}

export interface LogsParams {
  readonly operation: string;
  readonly folder: string;
  readonly cloud: CloudName;
  readonly source: LogSource;
  readonly follow: boolean;
  readonly since: string;
  readonly replica: string;
  readonly previous: boolean;
}

export interface Operation {
  readonly operation: string;
}

export interface Sentence {
  readonly message: string;
  readonly args: Readonly<Record<string, string | Sentence>>;
}

export interface Content {
  readonly name: string;
  readonly size: number;
}

export interface Diagnostics {
  readonly file: string;
  readonly contents: readonly Content[];
  readonly missing: readonly Sentence[];
}

export interface DiagnosticsParams {
  readonly operation: string;
  readonly folder: string;
  readonly cloud: CloudName;
  readonly file: string;
  readonly overwrite: boolean;
}

export interface OperateParams {
  readonly operation: string;
  readonly folder: string;
  readonly cloud: CloudName;
}

export interface Removable {
  readonly kind: "app" | "releases" | "mount" | "environment" | "logs" | "share" | "account";
  readonly name: string;
  readonly ours: boolean;
  readonly holds: Sentence;
  readonly users: readonly string[];
}

export interface Removed {
  readonly app: string;
  readonly confirm: string;
  readonly done: boolean;
  readonly goes: readonly Removable[];
  readonly stays: readonly Removable[];
  readonly emptied: readonly string[];
}

export interface RemoveParams {
  readonly operation: string;
  readonly folder: string;
  readonly cloud: CloudName;
  readonly plan: boolean;
  readonly name: string;
  readonly also: readonly string[];
}

export interface RevisionLine {
  readonly name: string;
  readonly state: string;
  readonly health: string;
  readonly replicas: number;
  readonly serves: boolean;
}

export interface Rotated {
  readonly app: string;
  readonly between: boolean;
  readonly restarted: boolean;
  readonly sentence: Sentence;
}

export interface RotateParams {
  readonly operation: string;
  readonly folder: string;
  readonly cloud: CloudName;
  readonly finish: boolean;
  readonly consents: readonly string[];
}

export interface Snippet {
  readonly url: string;
  readonly model: string | null;
  readonly code: string;
}

export interface SnippetParams {
  readonly folder: string;
  readonly cloud: CloudName;
  readonly language: "url" | "curl" | "python" | "javascript";
}

export interface Switched {
  readonly app: string;
  readonly running: "started" | "stopped";
  readonly changed: boolean;
  readonly awake: number;
  readonly sentence: Sentence;
}

export interface Warmed {
  readonly app: string;
  readonly ended: "left" | "asleep" | "stopped";
  readonly sentence: Sentence;
}

export interface WarmParams {
  readonly operation: string;
  readonly folder: string;
  readonly cloud: CloudName;
  readonly wake: boolean;
}

export interface Plan {
  readonly digest: string;
  readonly nothing: boolean;
  readonly folder: string;
  readonly parameters: string | null;
  readonly app: string | null;
  readonly cloud: CloudName;
  readonly subscriptionId: string;
  readonly resourceGroup: string;
  readonly location: string;
  readonly profile: string | null;
  readonly summary: Sentence;
  readonly registers: readonly string[];
  readonly resources: readonly PlanResource[];
  readonly effects: readonly Sentence[];
  readonly files: readonly PlanFile[];
  readonly risks: readonly string[];
  readonly price: PlanPrice;
  readonly notes: readonly Sentence[];
  readonly checks: readonly CheckLine[];
  readonly problems: readonly FileProblem[];
  readonly unforeseen: Sentence | null;
  readonly raw: string | null;
  readonly markdown: Sentence;
}

export interface PlanFile {
  readonly path: string;
  readonly action: PlanAction;
  readonly why: Sentence;
}

export interface PlanMember {
  readonly path: string;
  readonly before: string;
  readonly after: string;
}

export interface PlanParams {
  readonly operation: string;
  readonly folder: string;
  readonly cloud: CloudName;
  readonly subscriptionId: string;
  readonly resourceGroup: string;
  readonly parameters: string | null;
  readonly app: string | null;
  readonly raw: boolean;
}

export interface PlanPrice {
  readonly awake: number | null;
  readonly asleep: number | null;
  readonly month: number | null;
  readonly replicas: number;
  readonly start: number | null;
  readonly startSeconds: number;
  readonly startWhy: Sentence;
  readonly currency: string;
  readonly source: Sentence;
  readonly note: Sentence | null;
}

export interface PlanResource {
  readonly kind: string;
  readonly name: string;
  readonly action: PlanAction;
  readonly members: readonly PlanMember[];
  readonly foreseen: boolean;
}

export interface CheckLine {
  readonly name: string;
  readonly verdict: Verdict;
  readonly sentence: Sentence;
  readonly remedy: Sentence | null;
  readonly parameter: string | null;
  readonly at: string | null;
  readonly code: string | null;
}

export interface FitLine {
  readonly region: string;
  readonly profile: string;
  readonly needed: number;
  readonly used: number | null;
  readonly limit: number | null;
  readonly hour: number | null;
  readonly currency: string;
  readonly memory: number | null;
  readonly fits: boolean | null;
}

export interface Fitting {
  readonly fits: readonly FitLine[];
  readonly why: Sentence;
  readonly text: string;
}

export interface Preflight {
  readonly checks: readonly CheckLine[];
  readonly problems: readonly FileProblem[];
  readonly fitting: Fitting | null;
}

export interface PreflightParams {
  readonly operation: string;
  readonly folder: string;
  readonly cloud: CloudName;
  readonly subscriptionId: string;
  readonly resourceGroup: string;
  readonly parameters: string | null;
  readonly app: string | null;
}

export interface Deployed {
  readonly endpoint: string;
  readonly url: string;
  readonly release: string;
  readonly generation: number;
  readonly codeChanged: boolean;
  readonly verified: boolean;
  readonly replicas: readonly string[];
  readonly base: string | null;
  readonly adapters: readonly string[];
  readonly refused: readonly RefusedAdapter[];
  readonly notes: readonly Sentence[];
  readonly problems: readonly FileProblem[];
  readonly runsOn: RunsOn | null;
  readonly strategy: "in-place" | "revision" | "restart";
  readonly form: "beside" | "in turn" | null;
  readonly pause: number | null;
}

export interface DeployParams {
  readonly operation: string;
  readonly folder: string;
  readonly cloud: CloudName;
  readonly code: string;
  readonly stopUnanswered: boolean;
  readonly strategy: StrategyWish;
  readonly consents: readonly string[];
}

export interface Difference {
  readonly added: readonly string[];
  readonly changed: readonly string[];
  readonly removed: readonly string[];
}

export interface DiscardParams {
  readonly folder: string;
  readonly kind: "provision" | "deploy" | "rollback" | "delete" | "rotate" | "start" | "stop";
  readonly target: ProvisionTarget | null;
}

export interface FileProblem {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly message: Sentence;
  readonly certain: boolean;
}

export interface Generation {
  readonly number: number;
  readonly release: string;
  readonly at: string;
  readonly by: string;
  readonly commit: string;
  readonly cause: "deploy" | "rollback" | "failed";
  readonly current: boolean;
  readonly served: boolean;
  readonly kept: boolean;
  readonly difference: Difference | null;
}

export interface Interrupted {
  readonly kind: "provision" | "deploy" | "rollback" | "delete" | "rotate" | "start" | "stop";
  readonly at: string;
  readonly step: string;
  readonly running: boolean;
  readonly sentence: Sentence;
  readonly resume: "provision" | "deploy" | "rollback" | "delete" | "rotate" | "start" | "stop" | null;
  readonly target: ProvisionTarget | null;
  readonly cancels: boolean;
}

export interface Interruptions {
  readonly interrupted: readonly Interrupted[];
}

export interface LeftOut {
  readonly path: string;
  readonly why: "secret" | "model" | "ignored";
  readonly by: string;
}

export interface Preview {
  readonly release: string;
  readonly current: string;
  readonly size: number;
  readonly files: number;
  readonly uploads: boolean;
  readonly difference: Difference | null;
  readonly leftOut: readonly LeftOut[];
  readonly problems: readonly FileProblem[];
  readonly strategy: "in-place" | "revision" | "restart";
  readonly form: "beside" | "in turn" | null;
  readonly restart: "wake" | "rolling" | "old-first" | "new" | null;
  readonly downtime: number | null;
  readonly sentence: Sentence;
  readonly bases: readonly string[];
  readonly adapters: readonly string[];
  readonly notes: readonly Sentence[];
}

export interface PreviewParams {
  readonly folder: string;
  readonly cloud: CloudName;
  readonly code: string;
  readonly strategy: StrategyWish;
}

export interface RefusedAdapter {
  readonly name: string;
  readonly reason: string;
}

export interface Releases {
  readonly generations: readonly Generation[];
}

export interface RollbackParams {
  readonly operation: string;
  readonly folder: string;
  readonly cloud: CloudName;
  readonly generation: number | null;
  readonly stopUnanswered: boolean;
  readonly strategy: StrategyWish;
  readonly consents: readonly string[];
}

export interface RunsOn {
  readonly device: string;
  readonly gpu: string | null;
  readonly dtype: string;
  readonly weights: string;
  readonly attention: string;
}

export interface FolderHeld {
  readonly kind: "adapter" | "base";
  readonly name: string | null;
  readonly files: number;
  readonly weights: number;
  readonly size: number;
  readonly stays: readonly string[];
}

export interface FolderHeldParams {
  readonly source: string;
}

export interface Sampled {
  readonly base: string;
  readonly adapter: string;
  readonly question: string;
  readonly answer: string;
  readonly live: "live" | "asleep" | "partly" | "stored";
  readonly sent: number;
  readonly sentence: Sentence;
}

export interface SampleParams {
  readonly operation: string;
  readonly folder: string;
  readonly cloud: CloudName;
  readonly consents: readonly string[];
}

export interface Uploaded {
  readonly kind: "adapter" | "base";
  readonly name: string;
  readonly place: string;
  readonly files: number;
  readonly sent: number;
  readonly there: number;
  readonly live: "live" | "asleep" | "partly" | "stored";
  readonly replicas: readonly string[];
  readonly taken: readonly string[];
  readonly hash: string | null;
  readonly sentence: Sentence;
  readonly notes: readonly Sentence[];
}

export interface UploadParams {
  readonly operation: string;
  readonly folder: string;
  readonly cloud: CloudName;
  readonly source: string;
  readonly name: string | null;
  readonly shards: number;
  readonly consents: readonly string[];
}

export interface CloudParams {
  readonly cloud: CloudName;
}

export interface Subscription {
  readonly id: string;
  readonly name: string;
  readonly tenantId: string;
  readonly cloud: CloudName;
}

export interface Tenant {
  readonly tenantId: string;
  readonly name: string;
  readonly cloud: CloudName;
}

export interface Subscriptions {
  readonly subscriptions: readonly Subscription[];
  readonly problems: readonly Sentence[];
  readonly signedOut: readonly Tenant[];
}

export interface SubscriptionParams {
  readonly cloud: CloudName;
  readonly subscriptionId: string;
}

export interface ResourceGroup {
  readonly name: string;
  readonly location: string;
}

export interface ResourceGroups {
  readonly resourceGroups: readonly ResourceGroup[];
}

export interface Location {
  readonly name: string;
  readonly displayName: string;
  readonly gpus: readonly string[] | null;
}

export interface Locations {
  readonly locations: readonly Location[];
}

export interface CreateResourceGroupParams {
  readonly cloud: CloudName;
  readonly subscriptionId: string;
  readonly name: string;
  readonly location: string;
}

export interface FolderParams {
  readonly folder: string;
}

export interface WorkspaceDefaults {
  readonly subscriptionId: string | null;
  readonly resourceGroup: string | null;
  readonly origin: "finetuning" | "inference" | "choice" | null;
}

export interface WorkspaceSummary {
  readonly defaults: WorkspaceDefaults;
  readonly provisioned: boolean;
  readonly hasTemplate: boolean;
  readonly hasCode: boolean;
  readonly clouds: readonly CloudName[];
  readonly filesOf: string | null;
  readonly problems: readonly Sentence[];
}

export interface ProvisionParams {
  readonly operation: string;
  readonly folder: string;
  readonly cloud: CloudName;
  readonly subscriptionId: string;
  readonly resourceGroup: string;
  readonly parameters: string | null;
  readonly app: string | null;
  readonly consents: readonly string[];
  readonly digest: string | null;
  readonly begins: boolean;
}

export interface Provisioned {
  readonly endpoint: string;
  readonly url: string;
  readonly portalUrl: string | null;
  readonly configPath: string;
  readonly deployment: string;
  readonly nothing: boolean;
}

export interface FolderCloudParams {
  readonly folder: string;
  readonly cloud: CloudName;
}

export interface EndpointLink {
  readonly url: string;
  readonly loginUrl: string | null;
  readonly note: Sentence | null;
}

export interface Replica {
  readonly name: string;
  readonly state: string;
  readonly phase: Phase | null;
}

export interface Status {
  readonly state: State;
  readonly phase: Phase | null;
  readonly revision: string | null;
  readonly replicas: readonly Replica[];
  readonly endpoint: string | null;
  readonly url: string | null;
  readonly app: string | null;
  readonly reason: Sentence | null;
  readonly release: string | null;
  readonly generation: number | null;
  readonly base: string | null;
  readonly adapters: readonly string[];
  readonly refused: readonly RefusedAdapter[];
  readonly notes: readonly Sentence[];
  readonly failure: boolean;
  readonly hashes: Readonly<Record<string, string>>;
  readonly runsOn: RunsOn | null;
  readonly revisions: readonly RevisionLine[];
  readonly cooldown: number;
  readonly cost: readonly Sentence[];
  readonly lookedAt: string;
}

export interface ApiKey {
  readonly apiKey: string;
}

export interface TokenParams {
  readonly cloud: AzureCloud;
  readonly scopes: readonly string[];
  readonly tenantId: string | null;
  readonly claims: string | null;
  readonly silent: boolean;
}

export interface Token {
  readonly token: string;
  readonly expiresOn: number;
}

export interface Progress {
  readonly operation: string;
  readonly text: Sentence;
  readonly increment: number | null;
}

export interface Log {
  readonly level: "debug" | "info" | "warning" | "error";
  readonly text: Sentence;
}

export interface Failure {
  readonly code: string;
  readonly message: Sentence;
  readonly suggestion: Sentence | null;
  readonly consent: string | null;
  readonly detail: string | null;
  readonly problems: readonly FileProblem[];
  readonly restored: number | null;
  readonly document: string | null;
}

export interface Methods {
  readonly "slipway/subscriptions": { readonly params: CloudParams; readonly result: Subscriptions };
  readonly "slipway/resourceGroups": { readonly params: SubscriptionParams; readonly result: ResourceGroups };
  readonly "slipway/locations": { readonly params: SubscriptionParams; readonly result: Locations };
  readonly "slipway/createResourceGroup": { readonly params: CreateResourceGroupParams; readonly result: ResourceGroup };
  readonly "slipway/workspace": { readonly params: FolderParams; readonly result: WorkspaceSummary };
  readonly "slipway/init": { readonly params: InitParams; readonly result: Created };
  readonly "slipway/ciInit": { readonly params: CiInitParams; readonly result: CiInit };
  readonly "slipway/updateFiles": { readonly params: UpdateFilesParams; readonly result: FilesUpdate };
  readonly "slipway/preflight": { readonly params: PreflightParams; readonly result: Preflight };
  readonly "slipway/plan": { readonly params: PlanParams; readonly result: Plan };
  readonly "slipway/provision": { readonly params: ProvisionParams; readonly result: Provisioned };
  readonly "slipway/deploy": { readonly params: DeployParams; readonly result: Deployed };
  readonly "slipway/preview": { readonly params: PreviewParams; readonly result: Preview };
  readonly "slipway/releases": { readonly params: FolderCloudParams; readonly result: Releases };
  readonly "slipway/rollback": { readonly params: RollbackParams; readonly result: Deployed };
  readonly "slipway/interrupted": { readonly params: FolderParams; readonly result: Interruptions };
  readonly "slipway/discard": { readonly params: DiscardParams; readonly result: Interruptions };
  readonly "slipway/cancelProvisioning": { readonly params: CancelParams; readonly result: ProvisionCancelled };
  readonly "slipway/endpoint": { readonly params: FolderCloudParams; readonly result: EndpointLink };
  readonly "slipway/status": { readonly params: FolderCloudParams; readonly result: Status };
  readonly "slipway/apiKey": { readonly params: FolderCloudParams; readonly result: ApiKey };
  readonly "slipway/logs": { readonly params: LogsParams; readonly result: Logs };
  readonly "slipway/diagnose": { readonly params: FolderCloudParams; readonly result: Diagnosis };
  readonly "slipway/start": { readonly params: OperateParams; readonly result: Switched };
  readonly "slipway/stop": { readonly params: OperateParams; readonly result: Switched };
  readonly "slipway/snippet": { readonly params: SnippetParams; readonly result: Snippet };
  readonly "slipway/diagnostics": { readonly params: DiagnosticsParams; readonly result: Diagnostics };
  readonly "slipway/rotateKey": { readonly params: RotateParams; readonly result: Rotated };
  readonly "slipway/keepWarm": { readonly params: WarmParams; readonly result: Warmed };
  readonly "slipway/remove": { readonly params: RemoveParams; readonly result: Removed };
  readonly "slipway/folderHeld": { readonly params: FolderHeldParams; readonly result: FolderHeld };
  readonly "slipway/chatModels": { readonly params: ChatModelsParams; readonly result: ChatModels };
  readonly "slipway/chat": { readonly params: ChatParams; readonly result: ChatAnswer };
  readonly "slipway/chatCode": { readonly params: ChatCodeParams; readonly result: ChatCode };
  readonly "slipway/upload": { readonly params: UploadParams; readonly result: Uploaded };
  readonly "slipway/sample": { readonly params: SampleParams; readonly result: Sampled };
  readonly "slipway/evaluate": { readonly params: EvaluateParams; readonly result: Evaluated };
  readonly "slipway/evaluationCases": { readonly params: EvaluationCasesParams; readonly result: EvaluationCases };
  readonly "slipway/bicepCheck": { readonly params: BicepCheckParams; readonly result: BicepChecked };
  readonly "slipway/bicepInstall": { readonly params: BicepInstallParams; readonly result: BicepInstalled };
}

export interface Callbacks {
  readonly "slipway/token": { readonly params: TokenParams; readonly result: Token };
}

export interface Notifications {
  readonly "slipway/progress": { readonly params: Progress; readonly result: void };
  readonly "slipway/log": { readonly params: Log; readonly result: void };
  readonly "slipway/logLine": { readonly params: LogLine; readonly result: void };
  readonly "slipway/chatBegan": { readonly params: ChatBegan; readonly result: void };
  readonly "slipway/chatText": { readonly params: ChatText; readonly result: void };
}

export const NOTIFICATIONS = ["slipway/progress", "slipway/log", "slipway/logLine", "slipway/chatBegan", "slipway/chatText"] as const satisfies readonly (keyof Notifications)[];
export const USER_ERROR = -32000;
export const ALIVE = "slipway/alive";
