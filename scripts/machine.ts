import { access, statfs } from "node:fs/promises";
import { availableParallelism, cpus, freemem, totalmem } from "node:os";
import { join } from "node:path";
import { version_core } from "@tensorflow/tfjs-core";
import { type Device, type BackendName, BACKENDS } from "../src/backend/backend.js";
import { missingCudaLibraries } from "./setup-tensorflow/cuda-libraries.js";
import { platformProblem } from "./setup-tensorflow/device.js";
import { installedPieces } from "./setup-tensorflow/install.js";
import { findDriver, type NvidiaDriver } from "../src/backend/nvidia.js";
import { glibcVersion } from "./setup-tensorflow/place.js";
import { parseWheelName, RELEASE } from "./setup-tensorflow/release.js";
import { type Attempt, tryBackend } from "./setup-tensorflow/try-backend.js";
import { ADDON, packageDirectory } from "../src/backend/tensorflow.js";

/** Facts about a machine, for doctor and beside every measurement. Nothing is loaded to find them out. */
export interface Machine {
  readonly platform: string;
  readonly arch: string;
  /** The C library's version; null where it is not glibc. */
  readonly glibc: string | null;
  readonly node: string;
  readonly tfjs: string;
  /** Cores are those that this process may use. */
  readonly cpu: { readonly model: string; readonly cores: number };
  /** Within a container's limit, where there is one. */
  readonly memory: { readonly totalBytes: number; readonly availableBytes: number };
  readonly disk: { readonly freeBytes: number };
  readonly nvidia: NvidiaDriver | null;
  /** The native part of the tensorflow backend; null where it is not installed. */
  readonly tensorflow: NativePart | null;
  /** Why the native part cannot be installed here; null where it can. */
  readonly tensorflowImpossible: string | null;
}

/** What `npm run setup:tensorflow` has installed. */
export interface NativePart {
  readonly version: string | null;
  readonly device: Device | null;
  /** NVIDIA's libraries beside it, "nvidia-cublas-cu12 12.9.3.13"; empty where the system's are used. */
  readonly cudaLibraries: readonly string[];
  /** Those that it would not find, here or on the system; empty for the CPU build. */
  readonly missingCudaLibraries: readonly string[];
}

/** An backend, and whether it works on this machine. */
export type BackendFacts = { readonly name: BackendName } & Attempt;

/** The facts about this machine. */
export async function machineFacts(
  env: NodeJS.ProcessEnv = process.env,
  tensorflowPackage = packageDirectory(),
): Promise<Machine> {
  const { platform, arch } = process;
  const glibc = glibcVersion();
  const limit = process.constrainedMemory?.() || Infinity;
  const total = Math.min(totalmem(), limit);
  const disk = await statfs(process.cwd());
  return {
    platform,
    arch,
    glibc: glibc ?? null,
    node: process.version,
    tfjs: version_core,
    cpu: {
      model: cpus()[0]?.model.replaceAll(/\s+/g, " ").trim() || "unknown",
      cores: availableParallelism(),
    },
    memory: { totalBytes: total, availableBytes: Math.min(freemem(), total) },
    disk: { freeBytes: disk.bavail * disk.bsize },
    nvidia: (await findDriver(env)) ?? null,
    tensorflow: tensorflowPackage ? await nativePart(tensorflowPackage, env) : null,
    tensorflowImpossible: platformProblem({ platform, arch, glibc, release: RELEASE }) ?? null,
  };
}

/** Whether each backend works: loads one after the other, each in a process of its own, and computes with it. */
export async function backendFacts(signal?: AbortSignal): Promise<BackendFacts[]> {
  const facts: BackendFacts[] = [];
  for (const name of BACKENDS) facts.push({ name, ...(await tryBackend(name, signal)) });
  return facts;
}

async function nativePart(directory: string, env: NodeJS.ProcessEnv): Promise<NativePart | null> {
  const addon = join(directory, ADDON);
  const present = await access(addon).then(
    () => true,
    () => false,
  );
  if (!present) return null;
  const { library, cuda } = await installedPieces(directory);
  const wheel = library?.split(" ")[0]; // null below: installed by hand
  const device = Object.entries(RELEASE.wheels)
    .find(([, { file }]) => file === wheel)?.[0]
    .split("-")[0];
  return {
    version: (wheel && parseWheelName(wheel)?.version) || null,
    device: (device as Device | undefined) ?? null,
    cudaLibraries: cuda ? cuda.split(", ") : [],
    missingCudaLibraries: device === "cuda" ? await missingCudaLibraries(directory, env) : [],
  };
}
