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
  signal?.throwIfAborted();
  return new Promise((resolve, reject) => {
    const stream = output === "shown" ? 2 : "pipe"; // 2 is stderr
    const child = spawn(command, args, { env, signal, stdio: ["ignore", stream, stream] });
    let [stdout, stderr] = ["", ""];
    let failure: NodeJS.ErrnoException | undefined;
    child.stdout?.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    child.stderr?.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    child.on("error", (error) => (failure = error));
    child.on("close", (code, killedBy) => {
      if (signal?.aborted) return reject(signal.reason as Error);
      const missing = failure?.code === "ENOENT" || failure?.code === "EACCES";
      const end = failure?.message ?? killedBy ?? `exit code ${code}`;
      resolve({ ok: code === 0, missing, stdout, stderr, end });
    });
  });
}

/** The last line that is not empty, to be quoted in an error. */
export const lastLine = (text: string): string => text.trimEnd().split("\n").at(-1)!.trim();

/** Compares "525.60.13" with "470.82": negative, zero or positive, as for sorting. */
export const compareVersions = new Intl.Collator("en", { numeric: true }).compare;
