import { readFile } from "node:fs/promises";
import { lastLine, run } from "../util/run-command.js";
import { findLibraries } from "../util/shared-libraries.js";

/** An NVIDIA GPU, as its driver describes it. */
interface Gpu {
  readonly name: string;
  readonly memoryBytes: number;
  readonly freeMemoryBytes: number;
  /** "9.0" is Hopper. */
  readonly computeCapability: string;
}

/** NVIDIA's driver. */
export interface NvidiaDriver {
  /** "550.54.15"; absent where it is unknown. */
  readonly version?: string;
  /** The newest CUDA version that it supports. */
  readonly cuda?: string;
  readonly gpus: readonly Gpu[];
  /** The reason why nvidia-smi lists no GPUs. */
  readonly problem?: string;
}

const FIELDS = ["name", "driver_version", "memory.total", "memory.free", "compute_cap"];

/**
 * Looks for NVIDIA's driver: with nvidia-smi, else by the library that programs open (libcuda).
 *
 * @returns undefined without a driver
 */
export async function findDriver(
  env: NodeJS.ProcessEnv,
  versionFile = "/proc/driver/nvidia/version",
): Promise<NvidiaDriver | undefined> {
  const query = [`--query-gpu=${FIELDS.join(",")}`, "--format=csv,noheader,nounits"];
  const [list, summary] = await Promise.all([
    run("nvidia-smi", query, env),
    run("nvidia-smi", [], env), // only this output names the CUDA version
  ]);
  if (list.ok) {
    const lines = list.stdout.split("\n").filter((line) => line.includes(","));
    const cuda = /CUDA(?: UMD)? Version\s*:\s*([\d.]+)/.exec(summary.stdout)?.[1];
    const version = lines[0]?.split(",")[1]?.trim();
    return { ...(version && { version }), ...(cuda && { cuda }), gpus: lines.map(parseGpu) };
  }
  const library = (await findLibraries(["libcuda.so.1"], env, ["/usr/lib/wsl/lib"])).get("libcuda.so.1");
  if (!library) return undefined;
  // "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024"
  const text = await readFile(versionFile, "utf8").catch(() => "");
  const version = /\s(\d{3,}\.\d+(?:\.\d+)?)\s/.exec(text)?.[1];
  const message = lastLine(list.stdout) || lastLine(list.stderr) || list.end;
  return {
    ...(version && { version }),
    gpus: [],
    problem: list.missing ? "nvidia-smi is not on the PATH" : `nvidia-smi says "${message}"`,
  };
}

function parseGpu(line: string): Gpu {
  const [name, , total, free, computeCapability] = line.split(",").map((field) => field.trim());
  const bytes = (mebibytes: string | undefined) => (Number(mebibytes) || 0) * 2 ** 20; // "[N/A]" on some GPUs
  return {
    name: name!,
    memoryBytes: bytes(total),
    freeMemoryBytes: bytes(free),
    computeCapability: computeCapability ?? "",
  };
}
