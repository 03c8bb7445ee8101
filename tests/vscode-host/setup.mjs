// Makes a real VS Code (code-server) and a browser for it, from npm and the distribution's packages only. Run again, it does nothing.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const here = path.dirname(fileURLToPath(import.meta.url));
const vscode = path.join(here, "node_modules", "code-server", "lib", "vscode");
const stampFile = path.join(here, "node_modules", ".stamp");

browser();
codeServer();

function codeServer() {
  const lock = readFileSync(path.join(here, "package-lock.json"));
  const stamp = createHash("sha256").update(process.version).update("\0").update(lock).update("\0").update(readFileSync(fileURLToPath(import.meta.url))).digest("hex");
  if (existsSync(stampFile) && readFileSync(stampFile, "utf8") === stamp) return;
  say("Setting up code-server, the VS Code of the tests (about a minute, 320 MB, once)");
  rmSync(stampFile, { force: true });
  npm(here, "ci", "--ignore-scripts");
  npm(here, "rebuild", "argon2");
  // Its own shrinkwrap is out of step with its manifest, so `npm ci` refuses here.
  npm(vscode, "install", "--omit=dev", "--ignore-scripts");
  // Without spdlog every output channel stays silently empty.
  npm(vscode, "rebuild", "@vscode/spdlog", "native-watchdog");
  npm(path.join(vscode, "extensions"), "install", "--omit=dev", "--ignore-scripts");
  writeFileSync(stampFile, stamp);
}

function browser() {
  const known = [process.env["SLIPWAY_CHROMIUM"], "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
  if (known.some((each) => each !== undefined && existsSync(each))) return;
  const commands = [
    ["apt-get", "update", "-qq"],
    ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"],
  ];
  const byHand = `sudo ${commands.map((each) => each.join(" ")).join(" && sudo ")}`;
  if (process.getuid?.() !== 0) fail(`The tests in VS Code need a Chromium browser. Install it, or set SLIPWAY_CHROMIUM to its path:\n    ${byHand}`);
  say("Installing Chromium from the distribution's packages (once)");
  for (const [program, ...args] of commands) {
    const done = spawnSync(program, args, { stdio: ["ignore", "ignore", "inherit"], env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" } });
    if (done.status !== 0) fail(`Chromium could not be installed. Install it by hand, or set SLIPWAY_CHROMIUM to its path:\n    ${byHand}`);
  }
}

function npm(cwd, ...args) {
  const windows = process.platform === "win32";
  const quiet = ["--no-audit", "--no-fund", "--loglevel=error"];
  const done = spawnSync(windows ? "npm.cmd" : "npm", [...args, ...quiet], { cwd, stdio: ["ignore", "ignore", "inherit"], shell: windows, env: withHeaders() });
  if (done.status !== 0) fail(`failed in ${path.relative(process.cwd(), cwd) || "."}: npm ${args.join(" ")}`);
}

/** Native modules are built against this Node's own headers where it came with them; node-gyp fetches them otherwise. */
function withHeaders() {
  const prefix = path.dirname(path.dirname(process.execPath));
  const headers = existsSync(path.join(prefix, "include", "node", "node.h"));
  return headers ? { ...process.env, npm_config_nodedir: prefix } : process.env;
}

function say(text) {
  console.log(`▸ ${text}`);
}

function fail(text) {
  console.error(`✗ ${text}`);
  process.exit(1);
}
