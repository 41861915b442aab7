import { spawn } from "node:child_process";
import { rmSync } from "node:fs";
import { temporaryDirectory } from "../src/util/file-system.js";

/**
 * Runs tests that are no part of `npm test`, in a process of their own, and exits as it does. Ctrl-C, which a terminal
 * sends to both, is for that one to end by. What it then leaves in its temporary directory is taken away here.
 *
 * @param environment variables for it, besides ours
 * @throws InputError where no temporary directory can be made
 */
export async function runMocha(
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<void> {
  const directory = temporaryDirectory("tests");
  const env = { ...process.env, ...environment, TMPDIR: directory };
  try {
    const mocha = spawn(process.execPath, ["node_modules/mocha/bin/mocha.js", ...args], {
      env,
      stdio: "inherit",
    });
    signal.addEventListener("abort", () => mocha.kill("SIGINT"));
    const code = await new Promise<number>((resolve, reject) => {
      mocha.on("error", reject);
      mocha.on("close", (status) => resolve(status ?? 1));
    });
    signal.throwIfAborted();
    process.exitCode = code;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
