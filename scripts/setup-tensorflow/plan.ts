import { stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { checkCompiler } from "./addon.js";
import type { Device } from "../../src/backend/backend.js";
import { checkDiskSpace } from "./disk-space.js";
import type { MadePiece } from "./install.js";
import { isWhole } from "./pieces.js";
import { checkPip } from "./pip.js";
import type { Place } from "./place.js";
import type { Wheel } from "./release.js";

/** What can be asked of `npm run setup:tensorflow`. */
export interface SetupOptions {
  readonly device?: Device;
  readonly withCudaLibs?: boolean;
  /** A wheel that is already on disk. */
  readonly from?: string;
}

/** What is to be installed, and what of it is not in the cache yet. */
export interface Plan {
  readonly wheel: Wheel;
  /** Where the wheel is, or will be. */
  readonly wheelPath: string;
  /** Where the pieces are made. */
  readonly directory: string;
  readonly library: MadePiece;
  readonly addon: MadePiece;
  /** NVIDIA's libraries; undefined where the system's are to be used. */
  readonly cuda: MadePiece | undefined;
  readonly missing: { wheel: boolean; library: boolean; addon: boolean; cuda: boolean };
}

/** Decides what to install for a device, and looks what of it is in the cache already. */
export async function makePlan(options: SetupOptions, device: Device, place: Place): Promise<Plan> {
  const { release, cache, arch } = place;
  const wheel = release.wheels[`${device}-${arch}`]!;
  const wheelPath = options.from ? resolve(options.from) : join(cache, wheel.file);
  const directory = join(cache, `tensorflow-${release.tensorflow}-${device}-${arch}`);
  const library = { directory: join(directory, "deps"), source: `${wheel.file} sha256:${wheel.sha256}` };
  const addon = { directory: join(directory, "lib"), source: `tfjs ${release.tfjs}, ${library.source}` };
  const packages = release.cudaLibraries.map(({ name, version }) => `${name} ${version}`);
  const cuda = { directory: join(directory, "nvidia"), source: packages.join(", ") };
  const isMissing = async (piece: MadePiece) => !(await isWhole(piece.directory, piece.source));
  const missing = {
    library: await isMissing(library),
    addon: await isMissing(addon),
    cuda: await isMissing(cuda),
  };
  const withCuda = options.withCudaLibs === true || (device === "cuda" && !missing.cuda);
  const hasWheel = await stat(wheelPath).catch(() => undefined);
  return {
    wheel,
    wheelPath,
    directory,
    library,
    addon,
    cuda: withCuda ? cuda : undefined,
    missing: { ...missing, wheel: missing.library && !hasWheel, cuda: withCuda && missing.cuda },
  };
}

/** Refuses to start without the tools and the room that the plan needs. */
export async function checkNeeds({ wheel, cuda, missing }: Plan, place: Place): Promise<void> {
  if (missing.addon) await checkCompiler(place);
  if (missing.wheel || missing.cuda) await checkPip(place, wheel);
  const { cudaDownloadBytes, cudaLibraryBytes } = place.release;
  const library = missing.library ? wheel.unpackedBytes : 0;
  const withWheel = library + (missing.wheel ? wheel.bytes : 0);
  // The wheel is gone before the CUDA libraries come; these are there packed and unpacked for a moment.
  const withCuda = missing.cuda ? library + cudaDownloadBytes + cudaLibraryBytes : 0;
  const all = wheel.unpackedBytes + (cuda ? cudaLibraryBytes : 0);
  await checkDiskSpace(place, Math.max(withWheel, withCuda), all);
}
