import { fileURLToPath } from "node:url";
import type { BackendName, Device } from "../../src/backend/backend.js";
import { lastLine, run } from "../../src/util/run-command.js";

/** The result of `tryBackend`: a working backend, or the reason why it does not work. */
export type Attempt =
  | {
      readonly usable: true;
      readonly device: Device;
      readonly description: string;
      /** From the start to the first result. */
      readonly milliseconds: number;
      /** TensorFlow's log message about a GPU that it does not use. */
      readonly cudaMessage?: string;
    }
  | { readonly usable: false; readonly reason: string };

const CHILD = fileURLToPath(new URL("try-backend-child.ts", import.meta.url));

/**
 * Loads a backend and computes with it, in a process of its own: a crash of a native library ends only that one.
 *
 * @param device the required device; without it, the backend's choice
 */
export async function tryBackend(name: BackendName, signal?: AbortSignal, device?: Device): Promise<Attempt> {
  const env = { ...process.env, TF_CPP_MIN_LOG_LEVEL: "0" }; // TensorFlow's log is read below, not shown
  const args = ["--import", import.meta.resolve("tsx"), CHILD, name, ...(device ? [device] : [])];
  const { ok, stdout, stderr, end } = await run(process.execPath, args, env, signal);
  if (!ok) {
    const line = lastLine(stderr);
    return { usable: false, reason: `loading it ended with ${end}${line ? ` ("${line}")` : ""}` };
  }
  const attempt = JSON.parse(lastLine(stdout)) as Attempt;
  // "2026-11-23 15:42:59.123: I external/…/cudart_stub.cc:32] Could not find cuda drivers on your machine, …"
  const lines = stderr.split("\n").map((line) => line.replace(/^.*?\] /, "").trim());
  const aboutCuda = lines.filter((line) => /cuda|gpu|dlopen/i.test(line));
  const cudaMessage = aboutCuda.findLast((line) => /\b(?:not|cannot|fail\w*)\b/i.test(line));
  return attempt.usable && attempt.device === "cpu" && cudaMessage ? { ...attempt, cudaMessage } : attempt;
}
