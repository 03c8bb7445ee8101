// Lint rules of the TypeScript and JavaScript sources; the boundaries between the extension's modules are rules here too.
import { readdirSync } from "node:fs";
import path from "node:path";
import tseslint from "typescript-eslint";

/** The extension's modules, from what wires everything down to what the wire brings. Imports point downwards; those of one row do
 * not know each other; a file that stands in no row is refused. */
export const ORDER = [
  ["extension"],
  ["commands"],
  ["tour"],
  ["cancelling", "cases", "releases", "diagnose", "evaluating", "operating", "preflight", "provisioning", "removing", "rotation", "sharing", "uploading"],
  ["bicep", "endpoint", "resume", "updating"],
  ["operate"],
  ["chatmodels"],
  ["assistants", "chat", "view", "launch", "plans", "problems", "logs", "warm"],
  ["chatpage", "toolserver"],
  ["messages", "environment", "credentials", "picks", "listing"],
  ["client", "python", "tokens", "turns", "versions", "folders"],
  ["connection"],
  ["outcomes"],
  ["sentences", "config", "attention", "enter", "frames", "heartbeat", "lookups", "overlap"],
  ["protocol"],
];

/** A rule for each module of `folder`: which others it may not import. */
export function ordered(modules) {
  const stray = modules.filter((each) => !ORDER.flat().includes(each));
  if (stray.length > 0) throw new Error(`extension/${stray.join(", ")}: give it a row in ORDER of eslint.config.mjs`);
  return modules.map((module) => {
    const row = ORDER.findIndex((each) => each.includes(module));
    const above = ORDER.slice(0, row + 1).flat().filter((each) => each !== module);
    const group = above.map((each) => `./${each}`);
    return { module, pattern: { group, message: "Imports point downwards: see ORDER in eslint.config.mjs." } };
  });
}

const languageClient = {
  group: ["vscode-languageclient", "vscode-languageclient/*", "vscode-jsonrpc", "vscode-jsonrpc/*", "vscode-languageserver-protocol"],
  message: "Only connection.ts speaks the protocol: use Sidecar.",
};
const rooms = {
  group: ["./chat", "./chatmodels", "./client", "./commands", "./credentials", "./view", "./plans", "./problems", "./logs", "./warm", "./launch", "./extension"],
  allowTypeImports: true,
  importNamePattern: "^(Chats|ChatModels|Sidecar|Credentials|EndpointView|Plans|Problems|Logs|Warmth|registerCommands|launch|needsNoSetUp|activate|deactivate)$",
  message: "Only extension.ts builds and wires the rooms; others are given them (import the type).",
};
const boundaries = (...patterns) => ({ "@typescript-eslint/no-restricted-imports": ["error", { patterns }] });

export default tseslint.config(
  { ignores: ["build/**", "node_modules/**", ".venv/**", "tests/vscode-host/node_modules/**", "extension/protocol.ts"] },
  {
    files: ["**/*.ts"],
    extends: [...tseslint.configs.strictTypeChecked, ...tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { project: ["./tsconfig.json", "./tests/tsconfig.json", "./extension/webview/tsconfig.json"], tsconfigRootDir: import.meta.dirname } },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      "no-console": "error",
      eqeqeq: "error",
      "max-lines": ["error", 400],
      "@typescript-eslint/no-unnecessary-condition": ["error", { allowConstantLoopConditions: "always" }],
      "@typescript-eslint/explicit-module-boundary-types": "error",
      "@typescript-eslint/explicit-function-return-type": ["error", { allowExpressions: true }],
      "@typescript-eslint/consistent-type-imports": ["error", { fixStyle: "inline-type-imports" }],
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "@typescript-eslint/switch-exhaustiveness-check": "error",
      "@typescript-eslint/parameter-properties": "off",
      "@typescript-eslint/prefer-nullish-coalescing": ["error", { ignorePrimitives: { string: true } }],
    },
  },
  ...ordered(readdirSync(path.join(import.meta.dirname, "extension")).filter((each) => each.endsWith(".ts")).map((each) => path.basename(each, ".ts"))).map(({ module, pattern }) => ({
    files: [`extension/${module}.ts`],
    rules: boundaries(...(module === "connection" ? [] : [languageClient]), ...(module === "extension" ? [] : [rooms]), ...(pattern.group.length > 0 ? [pattern] : [])),
  })),
  {
    // Runs in the chat tab, where there is neither VS Code nor Node.
    files: ["extension/webview/*.ts"],
    rules: boundaries({ regex: "^(?!\\./|\\.\\./protocol$)", message: "A page knows its own modules, and the types of the wire." }),
  },
  { files: ["tests/**/*.ts"], rules: { "@typescript-eslint/no-non-null-assertion": "off" } },
  { files: ["**/*.mjs"], extends: [tseslint.configs.recommended], rules: { eqeqeq: "error" } },
);
