import { existsSync } from "node:fs";
import { availableParallelism, cpus, freemem, totalmem } from "node:os";
import { join } from "node:path";
import { version_core } from "@tensorflow/tfjs-core";
import { type BackendName, BACKENDS, DeviceError } from "../src/backend/backend.js";
import { findDriver, type NvidiaDriver } from "../src/backend/nvidia.js";
import { ADDON, packageDirectory } from "../src/backend/tensorflow.js";
import { platformProblem } from "./setup-tensorflow/checks.js";
import { type NativePart, nativePart, whyNotCuda } from "./setup-tensorflow/cuda.js";
import { freeBytes, glibcVersion } from "./setup-tensorflow/environment.js";
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

/** A backend, and whether it works on this machine. */
export type BackendFacts = { readonly name: BackendName } & Attempt;

/** Collects the facts about this machine; loads no backend. */
export async function machineFacts(
  env: NodeJS.ProcessEnv = process.env,
  tensorflowPackage = packageDirectory(),
): Promise<Machine> {
  const { platform, arch } = process;
  const installed = tensorflowPackage && existsSync(join(tensorflowPackage, ADDON));
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
    tensorflow: installed ? await nativePart(tensorflowPackage, env) : null,
    tensorflowImpossible: platformProblem({ platform, arch, glibc, release: RELEASE }) ?? null,
  };
}

/** Loads each backend and computes with it, one after the other, in processes of their own. */
export async function backendFacts(signal?: AbortSignal): Promise<BackendFacts[]> {
  const facts: BackendFacts[] = [];
  for (const name of BACKENDS) facts.push({ name, ...(await tryBackend(name, signal)) });
  return facts;
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
  const { nvidia, tensorflow } = await machineFacts();
  const reason = whyNotCuda(nvidia, tensorflow, attempt.usable ? attempt.cudaMessage : undefined);
  throw new DeviceError(error.backend, error.required, reason);
}
