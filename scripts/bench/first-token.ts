import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { InputError } from "../../src/index.js";
import { lastLine } from "../../src/util/run-command.js";
import { withEmptyCompileCache } from "./compile-cache.js";
import { usedOnGpu } from "./gpu-memory.js";

/** A run of the command generate, from its start. */
export interface FirstToken {
  readonly dtype: "float32" | "bfloat16";
  /** True if XLA's compile cache had the calls. */
  readonly warm: boolean;
  /** Until the first token was written, and until the command ended. */
  readonly firstTokenSeconds: number;
  readonly seconds: number;
  /** On the GPU at the peak, by any process; null without one. */
  readonly deviceBytes: number | null;
  /** Of the process at its peak; null where the system does not say. */
  readonly processBytes: number | null;
}

/** Milliseconds between two looks at the memory. */
const INTERVAL = 100;

/** Runs generate with a checkpoint, XLA-compiled, twice: with an empty compile cache and with what the first run left. */
export async function measureFirstToken(
  options: { checkpoint: string; device: string; tf32: string; dtype: FirstToken["dtype"] },
  signal: AbortSignal,
): Promise<FirstToken[]> {
  return withEmptyCompileCache(async (env) => {
    const runs: FirstToken[] = [];
    for (const warm of [false, true]) {
      runs.push({ dtype: options.dtype, warm, ...(await generateOnce(options, env, signal)) });
    }
    return runs;
  });
}

async function generateOnce(options: object, env: NodeJS.ProcessEnv, signal: AbortSignal) {
  const given = {
    execution: "xla",
    backend: "tensorflow",
    temperature: 0,
    "max-gen-len": 16,
    prompt: "Once upon",
  };
  const words = Object.entries({ ...given, ...options }).flatMap(([name, value]) => [
    `--${name}`,
    `${value}`,
  ]);
  const script = fileURLToPath(new URL("../generate.ts", import.meta.url));
  const started = performance.now();
  const child = spawn(process.execPath, ["--import", import.meta.resolve("tsx"), script, ...words], {
    env,
    signal,
  });
  const seen = { firstTokenSeconds: 0, stderr: "", deviceBytes: 0, processBytes: 0 };
  const elapsed = () => (performance.now() - started) / 1000;
  child.stdout.on("data", () => (seen.firstTokenSeconds ||= elapsed()));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (seen.stderr += text));
  const timer = setInterval(() => {
    seen.processBytes = Math.max(seen.processBytes, peakOf(child.pid!));
    void usedOnGpu().then((bytes) => (seen.deviceBytes = Math.max(seen.deviceBytes, bytes ?? 0)));
  }, INTERVAL);
  const code = await new Promise((resolve, reject) => child.on("close", resolve).on("error", reject));
  clearInterval(timer);
  const { firstTokenSeconds, stderr, deviceBytes, processBytes } = seen;
  if (code !== 0 || !firstTokenSeconds) throw new InputError(`generate failed: ${lastLine(stderr)}`);
  return {
    firstTokenSeconds,
    seconds: elapsed(),
    deviceBytes: deviceBytes || null,
    processBytes: processBytes || null,
  };
}

/** The largest resident size of a process so far; 0 where the system does not say, or the process has ended. */
function peakOf(pid: number): number {
  try {
    const [, kilobytes] = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
    return 1024 * Number(kilobytes ?? 0);
  } catch {
    return 0;
  }
}
