// Validates recorded ARM traffic against Microsoft's Swagger files with oav's live validator; writes one JSON summary.
//   node validate.mjs SPECIFICATION_FOLDER TRAFFIC_FOLDER SUMMARY_FILE
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(process.env.OAV_FROM ?? import.meta.url);
const { LiveValidator } = require("oav/dist/lib/liveValidation/liveValidator.js");
const [specification, traffic, output] = process.argv.slice(2);

// The versions that the files hold, by provider.
const VERSIONS = {
  "microsoft.app": "2024-03-01",
  "microsoft.resources": "2024-07-01",
  "microsoft.storage": "2023-05-01",
  "microsoft.operationalinsights": "2023-09-01",
};

// Differences of real Azure from these files, each by name with its reason.
const KNOWN = [
  { name: "newer property", code: "OBJECT_ADDITIONAL_PROPERTIES", match: /runningStatus|identitySettings|runtime|cooldownPeriod|pollingInterval|delegatedIdentities|apiVersion|systemData|labels|kedaConfiguration|daprConfiguration|publicNetworkAccess|runningStateDetails|additionalPortMappings|statusMessage|peerTrafficConfiguration|gpus|usageName|etag|infrastructureResourceGroup|createdBy|keyCreationTime|defaultToOAuthAuthentication|externalInputs|validationLevel|\bexpression\b/, reason: "newer than the files; checked by the SDK's own models" },
  { name: "seen on Azure", code: "OBJECT_ADDITIONAL_PROPERTIES", match: /imageType|patchingMode|revisionTransitionThreshold|targetLabel|targetPortHttpScheme|debugEndpoint/, reason: "captured from Azure; newer than the files, or in none" },
  { name: "action of a dependency", code: "OBJECT_ADDITIONAL_PROPERTIES", match: /actionName/, reason: "Azure names the list function that makes a dependency; the file does not know it" },
  { name: "transport is capitalised", code: "ENUM_CASE_MISMATCH", match: /./, reason: "ingress.transport comes back capitalised, as in the recordings" },
  { name: "null where the file has a type", code: "INVALID_TYPE", match: /type null/, reason: "Azure answers explicit nulls, as in the recordings" },
  { name: "last page without nextLink", code: "OBJECT_MISSING_REQUIRED_PROPERTY", match: /nextLink/, reason: "Azure leaves nextLink out on the last page, as in the recordings" },
  { name: "error of Storage", code: "INVALID_RESPONSE_CODE", match: /'4\d\d'/, only: /^StorageAccounts_/, reason: "the file of storage accounts defines no error answers" },
  { name: "operation that is refused here", code: "INVALID_RESPONSE_CODE", match: /'404'/, only: /^(SharedKeys_Regenerate|Operations_List|Skus_List|Usages_ListByLocation|PrivateLinkResources_\w+)$/, reason: "it is asked to see it refused (fates/*.md), and its file defines no error answers" },
  { name: "read-only property in a request", code: "READONLY_PROPERTY_NOT_ALLOWED_IN_REQUEST", match: /./, reason: "a client may send read-only properties in PATCH" },
];

function version(url) {
  const path = url.pathname.toLowerCase();
  if (!/^\/(subscriptions|tenants|providers)(\/|$)/.test(path)) return undefined;
  if (path === "/subscriptions" || path === "/tenants" || /^\/subscriptions\/[^/]+(\/locations)?$/.test(path)) return "2022-12-01";
  const providers = [...path.matchAll(/\/providers\/([^/]+)/g)];
  return VERSIONS[providers.length ? providers.at(-1)[1] : "microsoft.resources"];
}

const validator = new LiveValidator({
  directory: specification,
  swaggerPathsPattern: ["*/resource-manager/*/stable/*/*.json"],
  git: { shouldClone: false },
  isPathCaseSensitive: false,
  loadValidatorInInitialize: false,
});
await validator.initialize();

const summary = { pairs: 0, validated: 0, skipped: {}, operations: {}, known: {}, problems: [] };
const skip = (why) => { summary.skipped[why] = (summary.skipped[why] ?? 0) + 1; };
for (const file of readdirSync(traffic).filter((name) => name.endsWith(".jsonl"))) {
  for (const line of readFileSync(join(traffic, file), "utf8").split("\n").filter(Boolean)) {
    const pair = JSON.parse(line);
    summary.pairs += 1;
    const url = new URL(pair.url.replace(/^https:\/\/[^/]+/, "https://management.azure.com"));
    const wanted = version(url);
    // Operation status URLs are in no file.
    if (/\/operation(status(es)?|results)\//i.test(url.pathname)) { skip("status of an operation"); continue; }
    if (!wanted || !url.searchParams.get("api-version")) { skip(/^\/(subscriptions|tenants|providers)/.test(url.pathname) ? "no version, or no such provider in the files" : "pages of the authority"); continue; }
    url.searchParams.set("api-version", wanted);
    const query = Object.fromEntries(url.searchParams);
    const json = { "Content-Type": "application/json" };
    const result = await validator.validateLiveRequestResponse({
      liveRequest: { url: url.toString(), method: pair.method, headers: { ...json, ...pair.headers }, query, body: pair.body ?? undefined },
      liveResponse: { statusCode: String(pair.status), headers: { ...json, ...pair.answerHeaders }, body: pair.answer ?? undefined },
    });
    const failed = [result.requestValidationResult, result.responseValidationResult].filter((each) => each.runtimeException);
    if (failed.length) {
      // No such operation in these files: operation status URLs, newer operations.
      if (failed.some((each) => /OPERATION_NOT_FOUND|MULTIPLE_OPERATIONS_FOUND/.test(each.runtimeException.code))) { skip(`not in the files: ${pair.method} ${url.pathname.replace(/[0-9a-f-]{36}/g, "S")}`); continue; }
      summary.problems.push({ url: pair.url, method: pair.method, code: failed[0].runtimeException.code, message: failed[0].runtimeException.message });
      continue;
    }
    const operation = result.responseValidationResult.operationInfo?.operationId ?? "unknown";
    summary.validated += 1;
    summary.operations[operation] = (summary.operations[operation] ?? 0) + 1;
    const requests = pair.status >= 400 ? [] : result.requestValidationResult.errors;
    for (const error of [...requests, ...result.responseValidationResult.errors]) {
      const text = `${error.message} ${(error.pathsInPayload ?? error.jsonPathsInPayload ?? []).join(" ")}`;
      const known = KNOWN.find((each) => each.code === error.code && each.match.test(text) && (each.only ?? /./).test(operation));
      if (known) summary.known[known.name] = (summary.known[known.name] ?? 0) + 1;
      else summary.problems.push({ operation, method: pair.method, status: pair.status, code: error.code, message: text.slice(0, 300) });
    }
  }
}
summary.reasons = Object.fromEntries(KNOWN.map((each) => [each.name, each.reason]));
writeFileSync(output, JSON.stringify(summary, null, 1));
