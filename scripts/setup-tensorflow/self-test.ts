import { InputError } from "../../src/util/errors.js";
import { missingCudaLibraries } from "./cuda-libraries.js";
import type { Device } from "../../src/backend/backend.js";
import type { NvidiaDriver } from "../../src/backend/nvidia.js";
import type { Place } from "./place.js";

/**
 * Computes something with the backend, in a process of its own, and says what `--backend tensorflow` now is.
 *
 * @throws InputError when it does not run, or stays on the CPU although there is a card
 */
export async function selfTest(
  device: Device,
  driver: NvidiaDriver | undefined,
  place: Place,
): Promise<string> {
  const attempt = await place.report.step("testing the backend", 0, () => place.tryBackend());
  if (!attempt.usable) throw new InputError(`TensorFlow is installed but does not work: ${attempt.reason}`);
  const gpu = driver?.gpus[0]?.name;
  const result = `--backend tensorflow now is TensorFlow ${attempt.tensorflow} on ${attempt.device}`;
  if (attempt.device === "cuda") return `${result}${gpu ? ` (${gpu})` : ""}`;
  if (device === "cpu") return result;
  if (!driver) {
    return `${result}: its CUDA build, which stays on the CPU because this machine has no NVIDIA driver`;
  }
  const missingLibraries = await missingCudaLibraries(place.package, place.env);
  throw new InputError(
    `TensorFlow stayed on the CPU although there is ${gpu ?? "an NVIDIA driver"}: ` +
      whyNotCuda({ driver, device, missingLibraries }, attempt.said),
  );
}

/** What decides whether TensorFlow uses a card. */
export interface CardFacts {
  readonly driver: NvidiaDriver | null | undefined;
  /** What the installed TensorFlow was built for; null where setup did not install it. */
  readonly device: Device | null;
  /** CUDA libraries that it would not find. */
  readonly missingLibraries: readonly string[];
}

/**
 * Why TensorFlow computes on the CPU, and what to do about it.
 *
 * @param said what it wrote into its log itself, see `tryBackend`
 */
export function whyNotCuda(
  { driver, device, missingLibraries }: CardFacts,
  said: string | undefined,
): string {
  const setup = "npm run setup:tensorflow -- --device cuda";
  if (!driver) return "this machine has no NVIDIA driver";
  if (device === "cpu") return `it was built for the CPU; ${setup} builds it for the card`;
  if (missingLibraries.length > 0) {
    return `it cannot open ${missingLibraries.join(", ")}; ${setup} --with-cuda-libs brings them`;
  }
  return `${said ? `it says "${said}"` : "it does not say why"}; see whether nvidia-smi lists the card`;
}
