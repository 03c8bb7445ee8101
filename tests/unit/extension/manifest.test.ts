import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";

const root = path.resolve(__dirname, "../../../..");
const read = (file: string): string => readFileSync(path.join(root, file), "utf8");

interface Manifest {
  readonly icon: string;
  readonly extensionKind: readonly string[];
  readonly capabilities: { readonly untrustedWorkspaces: { readonly supported: string; readonly restrictedConfigurations: readonly string[] } };
  readonly contributes: {
    readonly commands: readonly { readonly command: string; readonly category: string; readonly title: string }[];
    readonly configuration: { readonly properties: Readonly<Record<string, unknown>> };
    readonly menus: Readonly<Record<string, readonly { readonly command: string }[]>>;
  };
}

describe("the manifest", () => {
  const manifest = JSON.parse(read("package.json")) as Manifest;
  const titles = JSON.parse(read("package.nls.json")) as Readonly<Record<string, string>>;
  const declared = manifest.contributes.commands.map(({ command }) => command).sort();

  it("declares exactly the commands that the extension registers", () => {
    const registered = new Set([...read("extension/commands.ts").matchAll(/^ {2}"(slipway\.\w+)":|registerCommand\("(slipway\.\w+)"/gm)].map((each) => each[1] ?? each[2]));
    assert.deepEqual(declared, [...registered].sort());
  });

  it("names them as the documentation does", () => {
    const documented = { "slipway.provision": "Provision Azure Container Apps for inference", "slipway.deploy": "Deploy for inference", "slipway.openEndpoint": "Go to Inference Endpoint" };
    for (const [id, title] of Object.entries(documented)) {
      const command = manifest.contributes.commands.find((each) => each.command === id);
      assert.equal(command?.category, "AI Toolkit");
      assert.equal(titles[command.title.replaceAll("%", "")], title);
    }
  });

  it("shows only declared commands in menus", () => {
    for (const entry of Object.values(manifest.contributes.menus).flat()) assert.ok(declared.includes(entry.command), entry.command);
  });

  it("lets no untrusted folder choose what is run", () => {
    assert.equal(manifest.capabilities.untrustedWorkspaces.supported, "limited");
    assert.deepEqual([...manifest.capabilities.untrustedWorkspaces.restrictedConfigurations].sort(), Object.keys(manifest.contributes.configuration.properties).sort());
  });

  it("runs where the files are (WSL, SSH, containers)", () => {
    assert.deepEqual(manifest.extensionKind, ["workspace"]);
  });

  it("names files that exist", () => {
    for (const file of [manifest.icon, "extension/media/slipway.svg"]) assert.ok(existsSync(path.join(root, file)), file);
  });

  it("and the code have one catalogue of messages: none missing, none unused", () => {
    const check = spawnSync(process.execPath, [path.join(root, "extension/l10n/check.mjs")], { encoding: "utf8" });
    assert.equal(check.status, 0, check.stderr);
  });
});
