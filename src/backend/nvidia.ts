import { readFile } from "node:fs/promises";
import { lastLine, run } from "../util/run-command.js";
import { missingLibraries } from "../util/shared-libraries.js";

/** NVIDIA's driver. */
export interface NvidiaDriver {
  /** "550.54.15"; absent where it is unknown. */
  readonly version?: string;
  /** "9.0" as `computeCapability` is Hopper. */
  readonly gpus: readonly {
    readonly name: string;
    readonly memoryBytes: number;
    readonly freeMemoryBytes: number;
    readonly computeCapability: string;
  }[];
  /** The reason why nvidia-smi lists no GPUs. */
  readonly problem?: string;
}

/**
 * Looks for NVIDIA's driver: with nvidia-smi, else by the library that programs open (libcuda).
 *
 * @returns undefined without a driver
 */
export async function findDriver(
  env: NodeJS.ProcessEnv,
  versionFile = "/proc/driver/nvidia/version",
): Promise<NvidiaDriver | undefined> {
  const fields = "driver_version,name,memory.total,memory.free,compute_cap";
  const list = await run("nvidia-smi", [`--query-gpu=${fields}`, "--format=csv,noheader,nounits"], env);
  if (list.ok) {
    const lines = list.stdout.split("\n").filter((line) => line.includes(","));
    const values = lines.map((line) => line.split(",").map((field) => field.trim()));
    const bytes = (mebibytes: string) => (Number(mebibytes) || 0) * 2 ** 20; // "[N/A]" on some GPUs
    const gpus = values.map(([, name = "", total = "", free = "", computeCapability = ""]) => ({
      name,
      memoryBytes: bytes(total),
      freeMemoryBytes: bytes(free),
      computeCapability,
    }));
    return { ...(values[0] && { version: values[0][0]! }), gpus };
  }
  const missing = await missingLibraries(["libcuda.so.1"], env, ["/usr/lib/wsl/lib"]);
  if (missing.length > 0) return undefined;
  // "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024"
  const text = await readFile(versionFile, "utf8").catch(() => "");
  const version = /\s(\d{3,}\.\d+(?:\.\d+)?)\s/.exec(text)?.[1];
  const message = lastLine(list.stdout) || lastLine(list.stderr) || list.end;
  const problem = list.missing ? "nvidia-smi is not on the PATH" : `nvidia-smi says "${message}"`;
  return { ...(version && { version }), gpus: [], problem };
}
