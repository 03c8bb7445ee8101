// Lint rules of the TypeScript and JavaScript sources; the boundaries between the extension's modules are rules here too.
import tseslint from "typescript-eslint";

const languageClient = {
  group: ["vscode-languageclient", "vscode-languageclient/*", "vscode-jsonrpc", "vscode-jsonrpc/*", "vscode-languageserver-protocol"],
  message: "Only client.ts speaks the protocol: use Sidecar.",
};
const rooms = {
  group: ["./client", "./commands", "./credentials", "./view", "./launch", "./extension"],
  allowTypeImports: true,
  importNamePattern: "^(Sidecar|Credentials|EndpointView|registerCommands|launch|needsNoSetUp|activate|deactivate)$",
  message: "Only extension.ts builds and wires the rooms; others are given them (import the type).",
};
const boundaries = (...patterns) => ({ "@typescript-eslint/no-restricted-imports": ["error", { patterns }] });

export default tseslint.config(
  { ignores: ["build/**", "node_modules/**", ".venv/**", "tests/vscode-host/node_modules/**", "extension/protocol.ts"] },
  {
    files: ["**/*.ts"],
    extends: [...tseslint.configs.strictTypeChecked, ...tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { project: ["./tsconfig.json", "./tests/tsconfig.json"], tsconfigRootDir: import.meta.dirname } },
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
  { files: ["extension/**/*.ts"], rules: boundaries(languageClient, rooms) },
  { files: ["extension/client.ts"], rules: boundaries(rooms) },
  { files: ["extension/extension.ts"], rules: boundaries(languageClient) },
  { files: ["tests/**/*.ts"], rules: { "@typescript-eslint/no-non-null-assertion": "off" } },
  { files: ["**/*.mjs"], extends: [tseslint.configs.recommended], rules: { eqeqeq: "error" } },
);
