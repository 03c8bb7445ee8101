// The one command door for developers: sets up what a command needs, then runs it. `node dev.mjs help` lists the commands.
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import path from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const root = path.dirname(fileURLToPath(import.meta.url));
const windows = process.platform === "win32";
const venv = path.join(root, ".venv");
const python = path.join(venv, windows ? "Scripts/python.exe" : "bin/python");

const SCHEMATHESIS = "schemathesis==4.32.5"; // only for `npm run contract -- fuzz`, so not among everybody's tools

const HARD = ["tests/contract/inference/test_soak.py", "tests/contract/inference/test_faults.py"];
const CHANGING = ["tests/e2e/test_rollout.py", "tests/e2e/test_wait.py", "tests/e2e/test_start.py", "tests/e2e/test_terminal.py"];
/** What `npm test` has pytest run. A step names folders and leaves out what its neighbour names, so that a new file is in one of
 * them (tests/unit/test_steps.py); what one process must see together, as the traffic of the local cloud's tests, stays together. */
const PYTEST_STEPS = {
  load: { of: HARD, without: [] },
  cloud: { of: ["tests/contract/localcloud"], without: [] },
  provision: { of: ["tests/contract"], without: ["tests/contract/inference", "tests/contract/localcloud"] },
  server: { of: ["tests/unit/inference", "tests/gpu", "tests/contract/inference"], without: HARD },
  changing: { of: CHANGING, without: [] },
  terminal: { of: ["tests/e2e"], without: CHANGING },
  sidecar: { of: ["tests/unit"], without: ["tests/unit/inference"] },
};
/** Lines of a red step that are told again at the very end. */
const END_LINES = 80;
/** Most steps wait for processes and clocks half of their time; one lane more than there are cores keeps those busy. */
const LANES = Math.min(availableParallelism() + 1, 4);

const COMMANDS = {
  start: ["provision, deploy and ask the model, on the local cloud (-- --once verifies and exits)", start],
  test: ["set everything up and run every test but the long ones", test],
  "test:long": ["the tests that take minutes (CONTRIBUTING lists them)", testLong],
  "test:newest": ["a smoke journey in a newer VS Code (code-server 4.139.1 on its own Node; Linux x64)", testNewest],
  check: ["linters, type checkers, import rules, drift checks", check],
  fix: ["format and repair what tools can repair; regenerate generated files", fix],
  bench: ["benchmarks: ratios against a peer (-- serving, -- sync, …)", (rest) => suite("bench", rest)],
  faults: ["fault tables (-- serving, -- cloud, …)", (rest) => suite("faults", rest)],
  package: ["build/slipway.vsix for VS Code and a wheel for the terminal", packages],
  contract: ["the local cloud against Microsoft's contracts (-- fuzz), the server against client libraries (-- clients), Bicep against Microsoft's (-- bicep)", (rest) => suite("contract", rest)],
  steps: ["", () => console.log(JSON.stringify(PYTEST_STEPS))],
  setup: ["only set up: Python, Node packages, the model server's environment", () => (setupPython(), setupNode())],
};

const [name = "help", ...rest] = process.argv.slice(2);
const command = COMMANDS[name];
if (command === undefined) {
  console.log(Object.entries(COMMANDS).filter(([, [what]]) => what !== "").map(([key, [what]]) => `npm run ${key.padEnd(10)} ${what}`).join("\n"));
  process.exit(name === "help" ? 0 : 2);
}
class Failure extends Error {
  constructor(text, status) {
    super(text);
    this.status = status;
  }
}

let interrupted = false;
try {
  await command[1](rest);
} catch (error) {
  if (!(error instanceof Failure)) throw error;
  await heard();
  console.error(interrupted ? "\nCancelled. Everything has ended." : `\n✗ ${error.message}`);
  process.exitCode = interrupted ? 130 : error.status;
}

/** Signals that came while a child was waited for are heard: one turn of the event loop polls for them, the next acts. */
async function heard() {
  for (let turn = 0; turn < 2; turn += 1) await new Promise(setImmediate);
}

/** A child that is waited for. One that was stopped by a signal has not answered: nothing is concluded from it. */
function settled(program, args, options) {
  const done = spawnSync(program, args, options);
  if (done.signal !== null || done.status === 130) {
    interrupted = true;
    fail("stopped", 130);
  }
  return done;
}

/** Ctrl-C is the demo's to answer: it ends what it began, and says so; this process goes when that one has gone. */
async function start(rest) {
  const children = [];
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.on(signal, () => {
      interrupted = true;
      for (const each of children) each.kill(signal); // a terminal has sent it already; whoever signals this process alone has not
    });
  }
  setupPython();
  await heard();
  if (interrupted) return fail("stopped", 130);
  const child = spawn(python, ["-m", "sidecar", "demo", ...rest], { cwd: root, stdio: "inherit" });
  children.push(child);
  process.exitCode = await new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (status) => resolve(status ?? 130));
  });
}

async function test(rest) {
  setupPython();
  setupNode();
  if (rest.length > 0) return run(python, ["-m", "pytest", ...rest]);
  const traffic = path.join(root, "build", "contract", "traffic-whole");
  rmSync(traffic, { recursive: true, force: true });
  mkdirSync(traffic, { recursive: true });
  process.env.SLIPWAY_LOCAL_RECORD = traffic; // every local cloud of the suite writes down what passes ARM's door
  const pytest = ({ of, without }) => [python, ["-m", "pytest", ...of, ...without.map((each) => `--ignore=${each}`), "--durations=5"]];
  process.env.SLIPWAY_STRICT ??= "1"; // nor does what Slipway sends live on a local cloud that ignores it (sidecar/localcloud/fates)
  // A step that runs beside others has about one core: a second thread of PyTorch's would only wait for theirs.
  process.env.OMP_NUM_THREADS ??= "1";
  // The longest first, so that none is left alone at the end; but before them a short one, which builds what VS Code's tests build too.
  const steps = [
    ["extension unit tests", npmScript("test:extension")],
    ["Provision and what fails, on the local cloud", pytest(PYTEST_STEPS.provision)],
    ["the main job in a terminal: all else", pytest(PYTEST_STEPS.terminal)],
    ["model server", pytest(PYTEST_STEPS.server)],
    ["local cloud", pytest(PYTEST_STEPS.cloud)],
    ["the main job in a real VS Code", npmScript("test:e2e")],
    ["the main job in a terminal: what changes while it runs", pytest(PYTEST_STEPS.changing)],
    ["model server under mixed load and faults", pytest(PYTEST_STEPS.load)],
    ["checks", [process.execPath, ["dev.mjs", "check"]]],
    ["sidecar", pytest(PYTEST_STEPS.sidecar)],
  ];
  const afterwards = [["all of that traffic against Microsoft's Swagger", [python, ["-m", "tests.contract.traffic", traffic]]]];
  const began = Date.now();
  const results = (await Promise.all(Array.from({ length: LANES }, () => inTurn(steps)))).flat();
  if (results.every((each) => each.status === 0)) results.push(...(await inTurn(afterwards)));
  const red = results.filter((each) => each.status !== 0);
  for (const { what, seconds, status } of results) console.log(`  ${status === 0 ? "✓" : "✗"} ${what}: ${seconds} s`);
  for (const [what] of steps) console.log(`  – ${what}: not begun, since every lane had failed`);
  for (const line of results.flatMap((each) => each.unsteady)) console.log(`  ${line}`);
  if (red.length > 0) {
    for (const { what, end } of red) console.error(`\n▸ ${what} ended so:\n${end}`); // a record may hold the end only
    console.error(`\n✗ red: ${red.map((each) => each.what).join(", ")}; their whole output is above`);
    process.exitCode = 1; // not exit(): what was printed may still be on its way
    return;
  }
  say(`all green in ${Math.round((Date.now() - began) / 1000)} s`);
}

/** One lane: takes the next step that no other lane has taken, until none is left or one of its own fails. */
async function inTurn(steps) {
  const results = [];
  for (let next = steps.shift(); next !== undefined; next = steps.shift()) {
    results.push(await finished(...next));
    if (results.at(-1).status !== 0) break;
  }
  return results;
}

/** Runs a step and shows what it printed in one piece, so that two steps at a time can be read. */
function finished(what, [program, args, options = {}]) {
  console.log(`\n▸ ${what}: begun`);
  const began = Date.now();
  return new Promise((resolve) => {
    const child = spawn(program, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"], ...options });
    const output = [];
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => output.push(chunk));
    child.on("error", (error) => output.push(Buffer.from(`${error}\n`)));
    child.on("close", (status) => {
      const seconds = Math.round((Date.now() - began) / 1000);
      const said = Buffer.concat(output).toString();
      process.stdout.write(`\n▸ ${what}: ${status === 0 ? "green" : "RED"} after ${seconds} s\n${said}`);
      const lines = said.trimEnd().split("\n");
      resolve({ what, seconds, status: status ?? 1, end: lines.slice(-END_LINES).join("\n"), unsteady: lines.filter((line) => line.startsWith("UNSTEADY: ")) });
    });
  });
}

function testLong(rest) {
  setupPython();
  setupNode();
  run(python, ["-m", "pytest", "tests", "-m", "long", "--timeout=3600", ...rest]);
}

function testNewest(rest) {
  setupPython();
  setupNode();
  run(process.execPath, [path.join("tests", "vscode-host", "setup.mjs")]); // for its browser
  run(process.execPath, [path.join("tests", "vscode-host", "newest", "setup.mjs")]);
  for (const what of ["--package", "--tests"]) run(process.execPath, ["esbuild.mjs", what]);
  process.env.SLIPWAY_NEWEST_VSCODE = "1";
  run(process.execPath, [path.join("node_modules", "mocha", "bin", "mocha.js"), "--timeout", "600000", "--bail", "build/tests/e2e/newest.long.cjs", ...rest]);
}

function check() {
  setupPython();
  setupNode();
  run(python, ["-m", "ruff", "check", "."]);
  run(python, ["-m", "ruff", "format", "--check", "."]);
  run(python, ["-m", "pyright", "--pythonpath", python, "--warnings"]);
  run(path.join(path.dirname(python), windows ? "lint-imports.exe" : "lint-imports"), ["--no-cache"]);
  npm("run", "typecheck");
  npm("run", "lint");
  npm("run", "check:l10n");
  run(python, ["-m", "tests.drift"]);
  run(python, ["-m", "tests.habits"]);
}

function fix() {
  setupPython();
  setupNode();
  run(python, ["-m", "ruff", "check", "--fix", "."]);
  run(python, ["-m", "ruff", "format", "."]);
  npm("run", "fix:l10n");
  run(python, ["-m", "tests.drift", "--write"]);
}

/** What people install: the extension, and the wheel whose console command is `slipway`. */
function packages() {
  setupNode();
  run(process.execPath, ["esbuild.mjs", "--package"]);
  const [tools, built] = ["packager", "wheel"].map((name) => path.join(root, "build", name));
  rmSync(built, { recursive: true, force: true });
  run(findPython().command, ["-m", "venv", tools]);
  const packager = path.join(tools, windows ? "Scripts/python.exe" : "bin/python");
  run(packager, ["-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps", "--wheel-dir", built, "."]);
  for (const each of readdirSync(built)) console.log(path.join("build", "wheel", each));
}

/** Runs `tests/<kind>/<which>.py` as a module: each prints its own table and chooses its own exit code. */
function suite(kind, [which = "all", ...rest]) {
  setupPython();
  const module = which.replaceAll("-", "_");
  if (!existsSync(path.join(root, "tests", kind, `${module}.py`))) fail(`There is no tests/${kind}/${module}.py. Say which: npm run ${kind} -- NAME`);
  if (kind === "contract" && module === "fuzz") run(python, ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", SCHEMATHESIS]);
  run(python, ["-m", `tests.${kind}.${module}`, ...rest]);
}

/** `.venv`: the sidecar and the developers' tools; the model server's packages are seen through one `.pth` line, so torch is installed once. */
function setupPython() {
  const base = findPython();
  const locks = ["sidecar/requirements.txt", "tests/requirements.txt", "inference/requirements.txt"];
  const stamp = digest([base.version, ...locks.map((file) => readFileSync(path.join(root, file), "utf8"))]);
  const stampFile = path.join(venv, ".stamp");
  const image = () => settled(python, ["-m", "sidecar.localcloud.image", "--check"], { cwd: root, stdio: "ignore" }).status === 0;
  if (existsSync(stampFile) && readFileSync(stampFile, "utf8") === stamp && image()) return;
  say(`Setting up Python ${base.version} in .venv (about a minute, once)`);
  say("Beside it, the model server's environment: PyTorch and friends (1.5 GB on disk with the CPU build, a few minutes, once)");
  const ahead = imageAhead(base);
  rmSync(venv, { recursive: true, force: true });
  const made = settled(base.command, [...base.args, "-m", "venv", venv], { stdio: "inherit" });
  if (made.status !== 0) fail(`Python could not make a virtual environment. On Debian and Ubuntu: apt-get install python3-venv`);
  run(python, ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r", "sidecar/requirements.txt"]);
  run(python, ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", "tests/requirements.txt"]);
  // Waits for what goes on beside, which holds the environment's lock; makes it where that one has failed, and says why it can't.
  const built = settled(python, ["-m", "sidecar.localcloud.image"], { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
  ahead.stdin.end();
  if (built.status !== 0) fail("The model server's environment could not be built; the lines above say why.");
  const imagePython = built.stdout.trim().split("\n").at(-1);
  const where = [python, imagePython].map((each) => {
    const asked = settled(each, ["-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], { encoding: "utf8" });
    return asked.stdout.trim();
  });
  writeFileSync(path.join(where[0], "_model_server.pth"), `${where[1]}\n`);
  writeFileSync(stampFile, stamp);
}

/** Begins to make the model server's environment, by the Python of the machine. It ends, with pip, when this process does. */
function imageAhead(base) {
  const ahead = spawn(base.command, [...base.args, "-m", "sidecar.localcloud.image", "--while-open"], { cwd: root, stdio: ["pipe", "ignore", "inherit"], detached: !windows });
  ahead.on("error", () => undefined); // who waits for it below tries it too, and says why it can't be made
  ahead.stdin.on("error", () => undefined); // it has ended before
  ahead.unref();
  return ahead;
}

function setupNode() {
  const stamp = digest([process.version, readFileSync(path.join(root, "package-lock.json"), "utf8")]);
  const stampFile = path.join(root, "node_modules", ".stamp");
  if (existsSync(stampFile) && readFileSync(stampFile, "utf8") === stamp) return;
  say("Installing the Node packages");
  npm("ci", "--ignore-scripts", "--no-audit", "--no-fund");
  npm("rebuild", "esbuild");
  mkdirSync(path.dirname(stampFile), { recursive: true });
  writeFileSync(stampFile, stamp);
}

function findPython() {
  const candidates = [process.env.SLIPWAY_PYTHON, "python3", "python3.13", "python3.12", "python3.11", "python"].filter((each) => each !== undefined && each !== "");
  for (const command of candidates) {
    const asked = settled(command, ["-c", "import sys, venv; print('%d.%d.%d' % sys.version_info[:3])"], { encoding: "utf8" });
    const version = asked.status === 0 ? asked.stdout.trim() : "";
    const [major, minor] = version.split(".").map(Number);
    if (major === 3 && minor >= 11) return { command, args: [], version };
  }
  return fail("Slipway needs Python 3.11 or newer (with venv). Install it, or set SLIPWAY_PYTHON to its path, and run this again.");
}

function run(program, args) {
  const done = settled(program, args, { cwd: root, stdio: "inherit" });
  if (done.status !== 0) fail(`failed: ${path.relative(root, program).startsWith("..") ? program : path.relative(root, program)} ${args.join(" ")}`, done.status ?? 1);
}

function npmScript(name) {
  return [windows ? "npm.cmd" : "npm", ["run", name], { shell: windows }];
}

function npm(...args) {
  const done = settled(windows ? "npm.cmd" : "npm", args, { cwd: root, stdio: "inherit", shell: windows });
  if (done.status !== 0) fail(`failed: npm ${args.join(" ")}`, done.status ?? 1);
}

function digest(parts) {
  return createHash("sha256").update(parts.join("\0")).digest("hex");
}

function say(text) {
  console.log(`\n▸ ${text}`);
}

function fail(text, status = 1) {
  throw new Failure(text, status);
}
