import { existsSync } from "node:fs";
import { availableParallelism, cpus, freemem, totalmem } from "node:os";
import { join } from "node:path";
import { version_core } from "@tensorflow/tfjs-core";
import { type BackendName, BACKENDS, type Device, DeviceError } from "../src/backend/backend.js";
import { findDriver, type NvidiaDriver } from "../src/backend/nvidia.js";
import { ADDON, packageDirectory } from "../src/backend/tensorflow.js";
import { platformProblem } from "./setup-tensorflow/checks.js";
import { missingCudaLibraries, whyNotCuda } from "./setup-tensorflow/cuda.js";
import { freeBytes, glibcVersion } from "./setup-tensorflow/environment.js";
import { installedSources } from "./setup-tensorflow/install.js";
import { RELEASE } from "./setup-tensorflow/release.js";
import { type Attempt, tryBackend } from "./setup-tensorflow/try-backend.js";

/** Facts about a machine, for `doctor` and saved with every measurement. */
export interface Machine {
  readonly platform: string;
  readonly arch: string;
  /** The C library's version; null if it is not glibc. */
  readonly glibc: string | null;
  readonly node: string;
  readonly tfjs: string;
  /** `cores` counts those that this process may use. */
  readonly cpu: { readonly model: string; readonly cores: number };
  /** Within a container's limit, if there is one. */
  readonly memory: { readonly totalBytes: number; readonly availableBytes: number };
  readonly disk: { readonly freeBytes: number };
  readonly nvidia: NvidiaDriver | null;
  /** The native part of the tensorflow backend; null if it is not installed. */
  readonly tensorflow: NativePart | null;
  /** The reason why the native part cannot be installed; null if it can. */
  readonly tensorflowImpossible: string | null;
}

/** The native part of the tensorflow backend, as `npm run setup:tensorflow` installed it. */
interface NativePart {
  /** Null, as is `device`, if it was not installed by the setup. */
  readonly version: string | null;
  readonly device: Device | null;
  /** NVIDIA's libraries beside it, "nvidia-cublas-cu12 12.9.3.13"; empty if the system's are used. */
  readonly cudaLibraries: readonly string[];
  /** The CUDA libraries that it would not find, here or on the system; empty for the CPU build. */
  readonly missingCudaLibraries: readonly string[];
}

/** A backend, and whether it works on this machine. */
export type BackendFacts = { readonly name: BackendName } & Attempt;

/** Collects the facts about this machine; loads no backend. */
export async function machineFacts(
  env: NodeJS.ProcessEnv = process.env,
  tensorflowPackage = packageDirectory(),
): Promise<Machine> {
  const { platform, arch } = process;
  const glibc = glibcVersion();
  const totalBytes = Math.min(totalmem(), process.constrainedMemory?.() || Infinity);
  const model = cpus()[0]?.model.replaceAll(/\s+/g, " ").trim() || "unknown";
  return {
    platform,
    arch,
    glibc: glibc ?? null,
    node: process.version,
    tfjs: version_core,
    cpu: { model, cores: availableParallelism() },
    memory: { totalBytes, availableBytes: Math.min(freemem(), totalBytes) },
    disk: { freeBytes: await freeBytes(process.cwd()) },
    nvidia: (await findDriver(env)) ?? null,
    tensorflow: tensorflowPackage ? await nativePart(tensorflowPackage, env) : null,
    tensorflowImpossible: platformProblem({ platform, arch, glibc, release: RELEASE }) ?? null,
  };
}

async function nativePart(directory: string, env: NodeJS.ProcessEnv): Promise<NativePart | null> {
  if (!existsSync(join(directory, ADDON))) return null;
  const { library, cuda } = await installedSources(directory);
  const wheel = library?.split(" ")[0]; // "tensorflow-2.21.0-cp311-cp311-manylinux_2_27_x86_64.whl"
  const build = Object.entries(RELEASE.wheels).find(([, { file }]) => file === wheel)?.[0]; // "cuda-x64"
  const device = build?.split("-")[0] as Device | undefined;
  return {
    version: wheel?.split("-")[1] ?? null,
    device: device ?? null,
    cudaLibraries: cuda ? cuda.split(", ") : [],
    missingCudaLibraries: device === "cuda" ? await missingCudaLibraries(directory, env) : [],
  };
}

/** Loads each backend and computes with it, one after the other, in processes of their own. */
export async function backendFacts(signal?: AbortSignal): Promise<BackendFacts[]> {
  const facts: BackendFacts[] = [];
  for (const name of BACKENDS) facts.push({ name, ...(await tryBackend(name, signal)) });
  return facts;
}

/** The reason why TensorFlow computes on the CPU of this machine; `message` is its own, see `tryBackend`. */
export function whyOnCpu({ nvidia, tensorflow }: Machine, message: string | undefined): string {
  const { device = null, missingCudaLibraries: missingLibraries = [] } = tensorflow ?? {};
  return whyNotCuda({ driver: nvidia, device, missingLibraries, message });
}

/**
 * Adds the reason why TensorFlow does not use CUDA, if that is the error; TensorFlow itself gives none.
 *
 * @throws the error, explained
 */
export async function explainDevice(error: unknown): Promise<never> {
  if (!(error instanceof DeviceError && error.backend.name === "tensorflow" && error.required === "cuda")) {
    throw error;
  }
  const attempt = await tryBackend("tensorflow");
  const message = attempt.usable ? attempt.cudaMessage : undefined;
  throw new DeviceError(error.backend, error.required, whyOnCpu(await machineFacts(), message));
}
