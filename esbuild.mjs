// Builds what Node runs: the extension (--production, --watch), its tests (--tests) and the .vsix (--package). All into build/.
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { build, context } from "esbuild";

const root = path.dirname(fileURLToPath(import.meta.url));
const flag = (name) => process.argv.includes(`--${name}`);

/** @type {import("esbuild").BuildOptions} */
const common = {
  absWorkingDir: root,
  bundle: true,
  platform: "node",
  target: "node20",
  format: "cjs",
  logLevel: "warning",
};

const CLIENT = "vscode-languageclient/node";

/** The protocol's client is four fifths of the code, and is not read before a sidecar is started: a file of its own. */
const apart = {
  name: "apart",
  setup(each) {
    each.onResolve({ filter: new RegExp(`^${CLIENT}$`) }, ({ kind }) => (kind === "entry-point" ? undefined : { path: "./languageclient.js", external: true }));
  },
};

/** @type {import("esbuild").BuildOptions} */
const extension = {
  ...common,
  entryPoints: { extension: "extension/extension.ts", languageclient: CLIENT },
  outdir: "build/dist",
  external: ["vscode"],
  plugins: [apart],
  minify: flag("production"),
  sourcemap: !flag("production"),
};

/** What runs in the chat tab: no module, and nothing of Node's.
 * @type {import("esbuild").BuildOptions} */
const page = {
  ...extension,
  platform: "browser",
  target: "es2022",
  format: "iife",
  entryPoints: ["extension/webview/page.ts", "extension/webview/chat.css"],
  outfile: undefined,
  outdir: "build/dist",
  plugins: [],
  sourcemap: false, // the page may load nothing beside it
};

if (flag("package")) vsix();
else if (flag("tests")) await tests();
else if (flag("watch")) await watch();
else await Promise.all([build(extension), build(page)]);

async function watch() {
  // The begin and end lines are what .vscode/tasks.json waits for.
  const announce = {
    name: "announce",
    setup(each) {
      each.onStart(() => console.log("[watch] build started"));
      each.onEnd(() => console.log("[watch] build finished"));
    },
  };
  const watched = await context({ ...extension, plugins: [apart, announce] });
  await Promise.all([watched.watch(), (await context(page)).watch()]);
}

async function tests() {
  const found = ["tests/unit/extension", "tests/e2e", "tests/bench", "tests/faults"].flatMap((folder) =>
    readdirSync(path.join(root, folder))
      .filter((file) => (folder === "tests/bench" || folder === "tests/faults" ? /\.ts$/ : /\.(test|spec|long)\.ts$/).test(file))
      .map((file) => path.join(folder, file)),
  );
  await build({
    ...common,
    entryPoints: found,
    outbase: "tests",
    outdir: "build/tests",
    outExtension: { ".js": ".cjs" },
    external: ["vscode", "playwright-core", "eslint"],
    sourcemap: "inline",
  });
}

function vsix() {
  const vsce = path.join(root, "node_modules", "@vscode", "vsce", "vsce");
  const options = ["--no-dependencies", "--allow-missing-repository", "--readme-path", "extension/README.md"];
  const done = spawnSync(process.execPath, [vsce, "package", ...options, "--out", "build/slipway.vsix"], { cwd: root, encoding: "utf8" });
  if (done.status !== 0) {
    process.stderr.write(`${done.stdout}${done.stderr}`);
    process.exit(done.status ?? 1);
  }
  console.log("build/slipway.vsix");
}
