// How somebody else starts the sidecar as a server of tools: from whatever folder, and with whatever variables are set there.
import type { Launch } from "./client";

export interface ToolServer {
  readonly command: string;
  readonly args: readonly string[];
  /** What is null is taken away. */
  readonly env: Readonly<Record<string, string | null>>;
}

/** VS Code starts such servers in the project's folder, which Python would search first: a `sidecar` or `mcp` of the project's own would
 * run in place of ours. */
export function toolServer({ command, env, cwd }: Pick<Launch, "command" | "env" | "cwd">, folders: readonly string[]): ToolServer {
  return {
    command,
    args: ["-m", "sidecar", "mcp", ...folders],
    env: { PYTHONPATH: cwd, PYTHONSAFEPATH: "1", PYTHONHOME: null, PYTHONUTF8: env["PYTHONUTF8"] ?? "1" },
  };
}
