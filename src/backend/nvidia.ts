import { run } from "../util/run-command.js";

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
}

/**
 * Looks for NVIDIA's driver with its own command, nvidia-smi.
 *
 * @returns undefined without the command, and no GPUs where it fails
 */
export async function findDriver(env: NodeJS.ProcessEnv): Promise<NvidiaDriver | undefined> {
  const fields = "driver_version,name,memory.total,memory.free,compute_cap";
  const list = await run("nvidia-smi", [`--query-gpu=${fields}`, "--format=csv,noheader,nounits"], env);
  if (list.missing) return undefined;
  const lines = list.ok ? list.stdout.split("\n").filter((line) => line.includes(",")) : [];
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
