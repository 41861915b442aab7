import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { InputError } from "../../src/util/errors.js";
import { buildAddon } from "./addon.js";
import { bringCudaLibraries } from "./cuda-libraries.js";
import { chooseDevice, platformProblem } from "./device.js";
import { install, isInstalled } from "./install.js";
import { findDriver } from "../../src/backend/nvidia.js";
import { makePiece, removeLeftovers } from "./pieces.js";
import { downloadWheel } from "./pip.js";
import type { Place } from "./place.js";
import { checkNeeds, makePlan, type Plan, type SetupOptions } from "./plan.js";
import { selfTest } from "./self-test.js";
import { checkWheelHash, checkWheelName, extract } from "./wheel.js";

/**
 * Makes `--backend tensorflow` work: TensorFlow's C library out of a Python wheel, the addon compiled against it, both
 * put into node_modules. Each result is kept in the user's cache; what is whole there is not made again, so that an
 * interrupted run is simply repeated.
 *
 * @returns what the backend now is, for people
 * @throws InputError that says what is missing, before anything is downloaded where that can be known
 */
export async function setup(options: SetupOptions, place: Place): Promise<string> {
  const { release, report } = place;
  const problem = platformProblem(place);
  if (problem) throw new InputError(problem);
  const driver = await findDriver(place.env);
  const device = chooseDevice(options.device, driver, place);
  if (options.withCudaLibs && device !== "cuda") {
    throw new InputError("--with-cuda-libs is of use with --device cuda alone, and the device is cpu");
  }
  const plan = await makePlan(options, device, place);
  if (options.from) await checkWheelName(options.from, plan.wheel, device);

  report.line(`TensorFlow ${release.tensorflow} for ${device}, ${place.platform} ${place.arch}`);
  for (const directory of [place.cache, plan.directory]) await removeLeftovers(directory);
  const pieces = [plan.library, ...(plan.cuda ? [plan.cuda] : []), plan.addon];
  if (await isInstalled(pieces, place)) {
    report.line("everything is there already");
  } else {
    await checkNeeds(plan, place);
    await make(plan, options, place);
    await install(pieces, place);
    report.line(`installed in ${place.package}`);
  }
  return selfTest(device, driver, place);
}

/** Makes what the cache lacks. */
async function make(plan: Plan, { from }: SetupOptions, place: Place): Promise<void> {
  const { wheel, wheelPath, library, addon, cuda, missing } = plan;
  await mkdir(plan.directory, { recursive: true });
  if (missing.wheel) await downloadWheel(wheel, wheelPath, place);
  if (missing.library) {
    try {
      await checkWheelHash(wheelPath, wheel, place);
    } catch (error) {
      // A damaged one of our own goes, so that the next run downloads it again; the user's is left alone.
      if (!from && error instanceof InputError) await rm(wheelPath, { force: true });
      throw error;
    }
    await makePiece(library.directory, library.source, (part) => extract(wheelPath, part, wheel, place));
  }
  await rm(join(place.cache, wheel.file), { force: true });
  if (missing.addon) {
    await makePiece(addon.directory, addon.source, (part) => buildAddon(library.directory, part, place));
  }
  if (cuda && missing.cuda) {
    await makePiece(cuda.directory, cuda.source, (part) => bringCudaLibraries(part, place));
  }
}
