import { spawn } from "node:child_process";

/**
 * Runs tests that are no part of `npm test`, in a process of their own, and exits as it does. Ctrl-C, which a terminal
 * sends to both, is for that one to end by.
 *
 * @param environment variables for it, besides ours
 */
export async function runMocha(
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<void> {
  const env = { ...process.env, ...environment };
  const mocha = spawn(process.execPath, ["node_modules/mocha/bin/mocha.js", ...args], {
    env,
    stdio: "inherit",
  });
  signal.addEventListener("abort", () => mocha.kill("SIGINT"));
  const code = await new Promise<number>((resolve) => mocha.on("close", (status) => resolve(status ?? 1)));
  signal.throwIfAborted();
  process.exitCode = code;
}
