import { availableParallelism, cpus, totalmem } from "node:os";
import { version_core } from "@tensorflow/tfjs-core";
import { DeviceError, NativePartError } from "../src/backend/backend.js";
import { findDriver } from "../src/backend/nvidia.js";
import { isInstalled, packageDirectory } from "../src/backend/tensorflow.js";
import { InputError } from "../src/util/errors.js";
import { platformProblem } from "./setup-tensorflow/checks.js";
import { nativePart, whyNotCuda } from "./setup-tensorflow/cuda.js";
import { glibcVersion } from "./setup-tensorflow/environment.js";
import { RELEASE } from "./setup-tensorflow/release.js";
import { tryBackend } from "./setup-tensorflow/try-backend.js";

/** Facts about a machine, for `doctor` and saved with every measurement. */
export type Machine = Awaited<ReturnType<typeof machineFacts>>;

/** Collects the facts about this machine; loads no backend. */
export async function machineFacts(env: NodeJS.ProcessEnv = process.env, directory = packageDirectory()) {
  const { platform, arch } = process;
  const glibc = glibcVersion();
  const totalBytes = Math.min(totalmem(), process.constrainedMemory() || Infinity); // within a container's limit
  const model = cpus()[0]?.model.replaceAll(/\s+/g, " ").trim() || "unknown";
  return {
    platform: platform as string,
    arch: arch as string,
    glibc: glibc ?? null,
    node: process.version,
    tfjs: version_core as string,
    cpu: { model, cores: availableParallelism() }, // those that this process may use
    memory: { totalBytes, availableBytes: Math.min(process.availableMemory(), totalBytes) },
    nvidia: (await findDriver(env)) ?? null,
    tensorflow: isInstalled(directory) ? await nativePart(directory!) : null,
    /** The reason why the native part cannot be installed. */
    tensorflowImpossible: platformProblem({ platform, arch, glibc, release: RELEASE }) ?? null,
  };
}

/**
 * Explains an error of `loadBackend`: how TensorFlow is installed, or why it cannot be on this platform, or why it does not
 * use CUDA, for which TensorFlow itself gives no reason.
 *
 * @throws the error, explained
 */
export async function explainBackend(error: unknown): Promise<never> {
  if (error instanceof NativePartError) {
    const { tensorflowImpossible } = await machineFacts();
    if (tensorflowImpossible) throw new InputError(`${error.message}: ${tensorflowImpossible}`);
    const clean = error.installed ? "`npm run setup:tensorflow -- --clean`, then " : "";
    throw new InputError(`${error.message}: run ${clean}\`npm run setup:tensorflow\`, or use --backend wasm`);
  }
  if (!(error instanceof DeviceError && error.backend.name === "tensorflow" && error.required === "cuda")) {
    throw error;
  }
  const attempt = await tryBackend("tensorflow");
  const { nvidia, tensorflow } = await machineFacts();
  const reason = whyNotCuda(nvidia, tensorflow, attempt.usable ? attempt.cudaMessage : undefined);
  throw new InputError(`${error.message}: ${reason}`);
}
