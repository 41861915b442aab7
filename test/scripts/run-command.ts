import { type ChildProcess, spawn } from "node:child_process";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { withoutStartupLog } from "../../src/backend/tensorflow-messages.js";

/** The repository, where commands run. */
export const root = fileURLToPath(new URL("../..", import.meta.url));
const { FORCE_COLOR: _, ...inherited } = process.env;
/** The environment of commands: without colour. */
export const env: NodeJS.ProcessEnv = { ...inherited, NO_COLOR: "1" };

/** The result of a command. */
export interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command as npm does, without a terminal; `input` is what it reads from stdin, which
 * stays open unless `endsInput`. */
export async function run(
  command: string,
  args: readonly string[] = [],
  nodeOptions: readonly string[] = [],
  read: (output: Readable, child: ChildProcess) => void = () => {},
  input = "",
  endsInput = true,
): Promise<Result> {
  const node = ["--import", "tsx", ...nodeOptions, `scripts/${command}.ts`, ...args];
  const child = spawn(process.execPath, node, { cwd: root, env, stdio: "pipe" });
  child.stdin.on("error", () => {}); // the command may end before it has read everything
  child.stdin.write(input);
  if (endsInput) child.stdin.end();
  const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []];
  child.stdout.on("data", (data: Buffer) => stdout.push(data));
  child.stderr.on("data", (data: Buffer) => stderr.push(data));
  read(child.stdout, child);
  const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
  return { code, stdout: `${Buffer.concat(stdout)}`, stderr: withoutStartupLog(`${Buffer.concat(stderr)}`) };
}
