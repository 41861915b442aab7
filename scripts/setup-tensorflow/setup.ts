import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Device } from "../../src/backend/backend.js";
import { findDriver } from "../../src/backend/nvidia.js";
import { InputError } from "../../src/util/errors.js";
import { buildAddon, compilerOf } from "./addon.js";
import { checkCommand, chooseDevice } from "./checks.js";
import { installCudaLibraries, nativePart, whyNotCuda } from "./cuda.js";
import type { Environment } from "./environment.js";
import { buildDirectory, link, makeDirectory } from "./install.js";
import { installLibrary } from "./wheel.js";

/** Options of `npm run setup:tensorflow`. */
export interface SetupOptions {
  readonly device?: Device;
  readonly withCudaLibs?: boolean;
}

/** A directory to make, and the command that making it needs. */
interface Part {
  readonly directory: string;
  readonly needs: readonly [string, ...string[]];
  readonly remedy: string;
  readonly fill: (part: string, environment: Environment) => Promise<void>;
}

const NO_PIP = "install Python 3 with pip (Debian, Ubuntu: apt install python3-pip)";
const NO_COMPILER = "install a C++ compiler (Debian, Ubuntu: apt install g++) or name one in CXX";

/**
 * Installs `--backend tensorflow`: TensorFlow's C library from a Python wheel, and the addon compiled against it. The
 * results are kept in the user's cache, and linked into node_modules. What is complete is not made again, so that an
 * interrupted run can simply be repeated.
 *
 * @returns one line that describes the backend
 * @throws InputError that says what is missing, where possible before anything is downloaded
 */
export async function setup(options: SetupOptions, environment: Environment): Promise<string> {
  const { platform, arch, release, env, log } = environment;
  const driver = await findDriver(env);
  const device = chooseDevice(options.device, driver, environment);
  if (options.withCudaLibs && device !== "cuda") {
    throw new InputError("--with-cuda-libs needs device cuda, got cpu: pass --device cuda");
  }
  const wheel = release.wheels[`${device}-${arch}`]!;

  log(`TensorFlow ${release.tensorflow} for ${device}, ${platform} ${arch}`);
  const directory = buildDirectory(device, environment);
  // The addon looks for libtensorflow in ../../deps/lib, and libtensorflow for CUDA's libraries in ../nvidia.
  const library = join(directory, "deps");
  const pipCommand = ["python3", "-m", "pip"] as const;
  const cuda = {
    directory: join(library, "nvidia"),
    needs: pipCommand,
    remedy: NO_PIP,
    fill: installCudaLibraries,
  };
  const parts: Part[] = [
    {
      directory: library,
      needs: pipCommand,
      remedy: NO_PIP,
      fill: (part) => installLibrary(wheel, part, environment),
    },
    ...(options.withCudaLibs ? [cuda] : []), // else the system's are used, or those of an earlier run
    {
      directory: join(directory, "lib"),
      needs: compilerOf(env),
      remedy: NO_COMPILER,
      fill: (part) => buildAddon(library, part, environment),
    },
  ];
  const missing = parts.filter((part) => !existsSync(part.directory));
  for (const { needs, remedy } of missing) await checkCommand(needs, remedy, environment);
  for (const { directory: target, fill } of missing) {
    await makeDirectory(target, (part) => fill(part, environment));
  }
  await link(directory, environment);
  log(missing.length > 0 ? `installed in ${directory}` : "everything is installed already");

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
  const installed = await nativePart(environment.package, env);
  const reason = whyNotCuda(driver, installed, attempt.cudaMessage);
  throw new InputError(`TensorFlow must use ${gpu ?? "the GPU"}, got the CPU: ${reason}`);
}
