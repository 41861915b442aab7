import { fileURLToPath } from "node:url";
import type { Device, BackendName } from "../../src/backend/backend.js";
import { lastLine, run } from "../../src/util/run-command.js";

/** An backend that was tried: it computes, or why it does not. */
export type Attempt = WorkingBackend | { readonly usable: false; readonly reason: string };

/** An backend that computes. */
export interface WorkingBackend {
  readonly usable: true;
  readonly device: Device;
  readonly description: string;
  /** TensorFlow's version, where the backend is TensorFlow. */
  readonly tensorflow?: string;
  /** From nothing to the first result. */
  readonly milliseconds: number;
  /** What TensorFlow said about a card that it does not use. */
  readonly said?: string;
}

const CHILD = fileURLToPath(new URL("try-backend-child.ts", import.meta.url));

/**
 * Loads an backend and computes with it, in a process of its own: a native library that crashes takes only that along.
 *
 * @param device where it has to compute; without it, wherever it does
 */
export async function tryBackend(
  name: BackendName,
  signal?: AbortSignal,
  nodeOptions: readonly string[] = [],
  device?: Device,
): Promise<Attempt> {
  const env = { ...process.env, TF_CPP_MIN_LOG_LEVEL: "0" }; // what TensorFlow says is read here, not shown
  const args = [
    "--import",
    import.meta.resolve("tsx"),
    ...nodeOptions,
    CHILD,
    name,
    ...(device ? [device] : []),
  ];
  const { ok, stdout, stderr, end } = await run(process.execPath, args, env, signal);
  const result = parse(lastLine(stdout));
  if (result && !result.usable) return result;
  if (!ok || !result) {
    const line = lastLine(stderr);
    return { usable: false, reason: `loading it ended with ${end}${line ? ` ("${line}")` : ""}` };
  }
  const said = result.device === "cpu" ? aboutCards(stderr) : undefined;
  return { ...result, ...(said && { said }) };
}

function parse(line: string): Attempt | undefined {
  try {
    return JSON.parse(line) as Attempt;
  } catch {
    return undefined; // it crashed before it could say anything
  }
}

// "2026-11-23 15:42:59.123: I external/…/cudart_stub.cc:32] Could not find cuda drivers on your machine, …"
function aboutCards(log: string): string | undefined {
  const lines = log.split("\n").map((line) => line.replace(/^.*?\] /, "").trim());
  return lines.findLast((line) => /cuda|gpu|dlopen/i.test(line) && /\b(?:not|cannot|fail\w*)\b/i.test(line));
}
