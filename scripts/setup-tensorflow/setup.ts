import { join } from "node:path";
import type { Device } from "../../src/backend/backend.js";
import { findDriver, type NvidiaDriver } from "../../src/backend/nvidia.js";
import { InputError } from "../../src/util/errors.js";
import { buildAddon } from "./addon.js";
import { type Artifact, isComplete, makeArtifact, removeLeftovers } from "./artifacts.js";
import { checkCompiler, checkDiskSpace, checkPip, chooseDevice, platformProblem } from "./checks.js";
import { installCudaLibraries, missingCudaLibraries, whyNotCuda } from "./cuda.js";
import type { Environment } from "./environment.js";
import { install, isInstalled } from "./install.js";
import { downloadWheel } from "./pip.js";
import type { Wheel } from "./release.js";
import { checkWheelName, extract } from "./wheel.js";

/** Options of `npm run setup:tensorflow`. */
export interface SetupOptions {
  readonly device?: Device;
  readonly withCudaLibs?: boolean;
  /** The path of a wheel that has been downloaded already. */
  readonly from?: string;
}

/**
 * Installs `--backend tensorflow`: TensorFlow's C library from a Python wheel, and the addon compiled against it. The
 * results are kept in the user's cache, and linked into node_modules. Complete ones are not made again, so that an
 * interrupted run can simply be repeated.
 *
 * @returns one line that describes the backend
 * @throws InputError that says what is missing, where possible before anything is downloaded
 */
export async function setup(options: SetupOptions, environment: Environment): Promise<string> {
  const { platform, arch, release, log } = environment;
  const problem = platformProblem(environment);
  if (problem) throw new InputError(problem);
  const driver = await findDriver(environment.env);
  const device = chooseDevice(options.device, driver, environment);
  if (options.withCudaLibs && device !== "cuda") {
    throw new InputError("--with-cuda-libs needs device cuda, got cpu: pass --device cuda");
  }
  const wheel = release.wheels[`${device}-${arch}`]!;
  if (options.from) await checkWheelName(options.from, wheel);

  log(`TensorFlow ${release.tensorflow} for ${device}, ${platform} ${arch}`);
  const directory = join(environment.cache, `tensorflow-${release.tensorflow}-${device}-${arch}`);
  await removeLeftovers(directory);
  const { library, cuda, addon } = artifactsIn(directory, wheel, options.from, environment);
  // The system's CUDA libraries are used unless NVIDIA's were requested once.
  const withCuda =
    options.withCudaLibs || (device === "cuda" && (await isComplete(cuda.directory, cuda.source)));
  const artifacts = withCuda ? [library, cuda, addon] : [library, addon];
  if (await isInstalled(artifacts, environment)) {
    log("everything is installed already");
    return selfTest(device, driver, environment);
  }

  const missing = new Set<Artifact>();
  for (const artifact of artifacts) {
    if (!(await isComplete(artifact.directory, artifact.source))) missing.add(artifact);
  }
  const downloadsWheel = missing.has(library) && !options.from;
  if (missing.has(addon)) await checkCompiler(environment);
  if (downloadsWheel || missing.has(cuda)) await checkPip(environment, wheel);
  const { cudaDownloadBytes, cudaLibraryBytes } = release;
  const downloads = [
    downloadsWheel ? wheel.bytes : 0,
    missing.has(cuda) ? cudaDownloadBytes + cudaLibraryBytes : 0,
  ];
  const cacheBytes = (missing.has(library) ? wheel.unpackedBytes : 0) + Math.max(...downloads); // one after the other
  await checkDiskSpace(environment, cacheBytes, wheel.unpackedBytes + (withCuda ? cudaLibraryBytes : 0));

  for (const artifact of missing) await makeArtifact(artifact);
  await install(artifacts, environment);
  log(`installed in ${environment.package}`);
  return selfTest(device, driver, environment);
}

/** The artifacts of a release, in the order in which they are made and installed: the addon needs the library. */
function artifactsIn(
  directory: string,
  wheel: Wheel,
  from: string | undefined,
  environment: Environment,
): Record<"library" | "cuda" | "addon", Artifact> {
  const { tfjs, cudaRequirements } = environment.release;
  const library: Artifact = {
    directory: join(directory, "deps"),
    source: `${wheel.file} sha256:${wheel.sha256}`,
    make: (part) =>
      from
        ? extract(from, wheel, part, environment)
        : downloadWheel(wheel, part, environment, (files) =>
            extract(join(files, wheel.file), wheel, part, environment),
          ),
  };
  const cuda: Artifact = {
    directory: join(directory, "nvidia"),
    source: cudaRequirements.map((line) => line.split(" ")[0]!.replace("==", " ")).join(", "),
    make: (part) => installCudaLibraries(part, environment),
  };
  const addon: Artifact = {
    directory: join(directory, "lib"),
    source: `tfjs ${tfjs}, ${library.source}`,
    make: (part) => buildAddon(library.directory, part, environment),
  };
  return { library, cuda, addon };
}

/**
 * Computes with the backend, in a process of its own.
 *
 * @throws InputError if it does not work, or does not use the GPU that it was installed for
 */
async function selfTest(
  device: Device,
  driver: NvidiaDriver | undefined,
  environment: Environment,
): Promise<string> {
  environment.log("testing the backend");
  const attempt = await environment.tryBackend();
  if (!attempt.usable) throw new InputError(`TensorFlow is installed but does not work: ${attempt.reason}`);
  const gpu = driver?.gpus[0]?.name;
  const result = `works: ${attempt.description}`;
  if (attempt.device === "cuda") return gpu ? `${result} on ${gpu}` : result;
  if (device === "cpu") return result;
  if (!driver) return `${result}: its CUDA build uses the CPU, because this machine has no NVIDIA driver`;
  const missingLibraries = await missingCudaLibraries(environment.package, environment.env);
  const reason = whyNotCuda({ driver, device, missingLibraries, message: attempt.cudaMessage });
  throw new InputError(`TensorFlow must use ${gpu ?? "the GPU"}, got the CPU: ${reason}`);
}
