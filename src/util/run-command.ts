import { spawn } from "node:child_process";

/** The outcome of a command. */
interface Outcome {
  readonly ok: boolean;
  /** The PATH has no such command. */
  readonly missing: boolean;
  readonly stdout: string;
  readonly stderr: string;
  /** "exit code 1", "SIGSEGV"; for messages. */
  readonly end: string;
}

/**
 * Runs a command without a shell and waits for it. A failure is part of the outcome, never thrown.
 *
 * @param output "shown" on our stderr while the command runs, or captured
 * @throws the signal's reason if it aborts; the command is then terminated
 */
export async function run(
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
  signal?: AbortSignal,
  output: "shown" | "captured" = "captured",
): Promise<Outcome> {
  signal?.throwIfAborted(); // the listener below would miss an earlier abort
  return new Promise((resolve, reject) => {
    const stream = output === "shown" ? 2 : "pipe"; // 2 is stderr
    const child = spawn(command, args, { env, stdio: ["ignore", stream, stream] });
    const stop = () => child.kill("SIGTERM");
    signal?.addEventListener("abort", stop, { once: true });
    let [stdout, stderr] = ["", ""];
    child.stdout?.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    child.stderr?.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    child.on("error", (error: NodeJS.ErrnoException) => {
      signal?.removeEventListener("abort", stop);
      const missing = error.code === "ENOENT" || error.code === "EACCES";
      resolve({ ok: false, missing, stdout, stderr, end: error.message });
    });
    child.on("close", (code, killedBy) => {
      signal?.removeEventListener("abort", stop);
      if (signal?.aborted) reject(signal.reason as Error);
      else resolve({ ok: code === 0, missing: false, stdout, stderr, end: killedBy ?? `exit code ${code}` });
    });
  });
}

/** The last line that is not empty, to be quoted in an error. */
export const lastLine = (text: string): string =>
  text
    .split("\n")
    .map((line) => line.trim())
    .findLast((line) => line !== "") ?? "";

/** Compares "525.60.13" with "470.82": negative, zero or positive, as for sorting. */
export const compareVersions = new Intl.Collator("en", { numeric: true }).compare;
