import { mkdir, rm, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Device } from "../../src/backend/backend.js";
import { findDriver, type NvidiaDriver } from "../../src/backend/nvidia.js";
import { InputError } from "../../src/util/errors.js";
import { buildAddon } from "./addon.js";
import { isComplete, makeArtifact, removeLeftovers } from "./artifacts.js";
import { checkCompiler, checkDiskSpace, checkPip, chooseDevice, platformProblem } from "./checks.js";
import { installCudaLibraries, missingCudaLibraries, whyNotCuda } from "./cuda.js";
import type { Environment } from "./environment.js";
import { type Artifact, install, isInstalled } from "./install.js";
import { downloadWheel } from "./pip.js";
import { checkWheelHash, checkWheelName, extract } from "./wheel.js";

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
  const plan = await makePlan(options, device, environment);
  if (options.from) await checkWheelName(options.from, plan.wheel);

  log(`TensorFlow ${release.tensorflow} for ${device}, ${platform} ${arch}`);
  for (const directory of [environment.cache, plan.directory]) await removeLeftovers(directory);
  const { library, cuda, addon } = plan;
  const artifacts = [library, ...(cuda ? [cuda] : []), addon];
  if (await isInstalled(artifacts, environment)) {
    log("everything is installed already");
  } else {
    await checkRequirements(plan, environment);
    await make(plan, environment);
    await install(artifacts, environment);
    log(`installed in ${environment.package}`);
  }
  return selfTest(device, driver, environment);
}

type Plan = Awaited<ReturnType<typeof makePlan>>;

/** Decides what to install for a device, and finds out what of it the cache lacks. */
async function makePlan(options: SetupOptions, device: Device, { release, cache, arch }: Environment) {
  const wheel = release.wheels[`${device}-${arch}`]!;
  const ownWheel = join(cache, wheel.file);
  const wheelPath = options.from ? resolve(options.from) : ownWheel;
  const directory = join(cache, `tensorflow-${release.tensorflow}-${device}-${arch}`);
  const artifact = (name: string, source: string): Artifact => ({ directory: join(directory, name), source });
  const library = artifact("deps", `${wheel.file} sha256:${wheel.sha256}`);
  const addon = artifact("lib", `tfjs ${release.tfjs}, ${library.source}`);
  const packages = release.cudaRequirements.map((line) => line.split(" ")[0]!.replace("==", " "));
  const cuda = artifact("nvidia", packages.join(", "));
  const isMissing = async ({ directory: made, source }: Artifact) => !(await isComplete(made, source));
  const missing = {
    library: await isMissing(library),
    addon: await isMissing(addon),
    cuda: await isMissing(cuda),
  };
  // The system's CUDA libraries are used unless NVIDIA's were requested once.
  const withCuda = options.withCudaLibs === true || (device === "cuda" && !missing.cuda);
  const hasWheel = await stat(wheelPath).catch(() => undefined);
  return {
    wheel,
    wheelPath,
    ownWheel,
    directory,
    library,
    addon,
    cuda: withCuda ? cuda : undefined,
    missing: { ...missing, wheel: missing.library && !hasWheel, cuda: withCuda && missing.cuda },
  };
}

/** Checks for the tools and the disk space that the plan needs. */
async function checkRequirements({ wheel, cuda, missing }: Plan, environment: Environment): Promise<void> {
  if (missing.addon) await checkCompiler(environment);
  if (missing.wheel || missing.cuda) await checkPip(environment, wheel);
  const { cudaDownloadBytes, cudaLibraryBytes } = environment.release;
  const libraryBytes = missing.library ? wheel.unpackedBytes : 0;
  const withWheel = libraryBytes + (missing.wheel ? wheel.bytes : 0);
  // The wheel is deleted before the CUDA libraries are downloaded; these exist packed and unpacked for a moment.
  const withCuda = missing.cuda ? libraryBytes + cudaDownloadBytes + cudaLibraryBytes : 0;
  const installed = wheel.unpackedBytes + (cuda ? cudaLibraryBytes : 0);
  await checkDiskSpace(environment, Math.max(withWheel, withCuda), installed);
}

/** Makes the artifacts that the cache lacks. */
async function make(plan: Plan, environment: Environment): Promise<void> {
  const { wheel, wheelPath, ownWheel, library, addon, cuda, missing } = plan;
  await mkdir(plan.directory, { recursive: true });
  if (missing.wheel) await downloadWheel(wheel, wheelPath, environment);
  if (missing.library) {
    environment.log(`extracting the C library from ${wheel.file}`);
    try {
      await checkWheelHash(wheelPath, wheel, environment);
    } catch (error) {
      // Our own damaged wheel is deleted, so that the next run downloads it again; the user's stays.
      if (wheelPath === ownWheel && error instanceof InputError) await rm(wheelPath, { force: true });
      throw error;
    }
    await makeArtifact(library.directory, library.source, (part) => extract(wheelPath, part, environment));
  }
  await rm(ownWheel, { force: true });
  if (missing.addon) {
    await makeArtifact(addon.directory, addon.source, (part) =>
      buildAddon(library.directory, part, environment),
    );
  }
  if (cuda && missing.cuda) {
    await makeArtifact(cuda.directory, cuda.source, (part) => installCudaLibraries(part, environment));
  }
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
  const result = `--backend tensorflow is TensorFlow ${attempt.tensorflow} on ${attempt.device}`;
  if (attempt.device === "cuda") return `${result}${gpu ? ` (${gpu})` : ""}`;
  if (device === "cpu") return result;
  if (!driver) return `${result}: its CUDA build uses the CPU, because this machine has no NVIDIA driver`;
  const missingLibraries = await missingCudaLibraries(environment.package, environment.env);
  const reason = whyNotCuda({ driver, device, missingLibraries, message: attempt.cudaMessage });
  throw new InputError(`TensorFlow must use ${gpu ?? "the GPU"}, got the CPU: ${reason}`);
}
