import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Device } from "../../src/backend/backend.js";
import { findDriver } from "../../src/backend/nvidia.js";
import { InputError } from "../../src/util/errors.js";
import { build, compilerOf } from "./build.js";
import { checkCommand, chooseDevice } from "./checks.js";
import { installCudaLibraries, nativePart, whyNotCuda } from "./cuda.js";
import type { Environment } from "./environment.js";
import { buildDirectory, link, makeDirectory } from "./install.js";
import { NO_PIP, PIP } from "./pip.js";
import { wheelName } from "./release.js";

/** Options of `npm run setup:tensorflow`. */
export interface SetupOptions {
  readonly device?: Device;
  readonly withCudaLibs?: boolean;
}

const NO_COMPILER =
  "install a C++ compiler (Debian, Ubuntu: apt install g++; macOS: xcode-select --install) or name one in CXX";

/**
 * Installs `--backend tensorflow`: TensorFlow's C library from a Python wheel, and the addon compiled against it. The
 * results are kept in the user's cache, and linked into node_modules. What is complete is not made again.
 *
 * @returns one line that describes the backend
 * @throws InputError that says what is missing, where possible before anything is downloaded
 */
export async function setup(options: SetupOptions, environment: Environment): Promise<string> {
  const { platform, arch, release, env, log } = environment;
  const driver = await findDriver(env);
  const device = chooseDevice(options.device, driver, environment);
  if (options.withCudaLibs && device !== "cuda") {
    throw new InputError("--with-cuda-libs must be used with --device cuda, got cpu");
  }
  log(`TensorFlow ${release.tensorflow} for ${device}, ${platform} ${arch}`);
  if (platform === "darwin")
    log("experimental: the macOS build was compiled and linked, but has not yet run on a Mac");
  const directory = buildDirectory(device, environment);
  const cudaDirectory = join(directory, "deps", "nvidia"); // where libtensorflow looks for CUDA's libraries
  const needsBuild = !existsSync(directory);
  const needsCuda = options.withCudaLibs && !existsSync(cudaDirectory); // else the system's, or those there
  if (needsBuild) await checkCommand(compilerOf(environment), NO_COMPILER, environment);
  if (needsBuild || needsCuda) await checkCommand(PIP, NO_PIP, environment);
  if (needsBuild) {
    const requirement = release.wheels[wheelName(device, environment)]!;
    await makeDirectory(directory, (part) => build(requirement, part, environment));
  }
  if (needsCuda) await makeDirectory(cudaDirectory, (part) => installCudaLibraries(part, environment));
  await link(directory, environment);
  log(needsBuild || needsCuda ? `installed in ${directory}` : "everything is installed already");

  log("testing the backend");
  const attempt = await environment.tryBackend();
  if (!attempt.usable) {
    const repair = "npm run setup:tensorflow -- --clean removes it, to be installed again";
    throw new InputError(`TensorFlow is installed but does not work: ${attempt.reason}; ${repair}`);
  }
  const gpu = driver?.gpus[0]?.name;
  const result = `works: ${attempt.description}`;
  if (attempt.device === "cuda") return gpu ? `${result} on ${gpu}` : result;
  if (device === "cpu") return result;
  if (!driver) return `${result}: its CUDA build uses the CPU, because this machine has no NVIDIA driver`;
  const installed = await nativePart(environment.package);
  const reason = whyNotCuda(driver, installed, attempt.cudaMessage);
  throw new InputError(`TensorFlow must use ${gpu ?? "the GPU"}, got the CPU: ${reason}`);
}
