import { InputError } from "../../errors.js";
import { missingCudaLibraries } from "./cuda-libraries.js";
import type { Device } from "../engine.js";
import type { NvidiaDriver } from "./nvidia.js";
import type { Place } from "./place.js";

/**
 * Computes something with the engine, in a process of its own, and says what `--engine tensorflow` now is.
 *
 * @throws InputError when it does not run, or stays on the CPU although there is a card
 */
export async function selfTest(
  device: Device,
  driver: NvidiaDriver | undefined,
  place: Place,
): Promise<string> {
  const attempt = await place.report.step("testing the engine", 0, () => place.tryEngine());
  if (!attempt.usable) throw new InputError(`TensorFlow is installed but does not work: ${attempt.reason}`);
  const card = driver?.cards[0]?.name;
  const result = `--engine tensorflow now is TensorFlow ${attempt.tensorflow} on ${attempt.device}`;
  if (attempt.device === "cuda") return `${result}${card ? ` (${card})` : ""}`;
  if (device === "cpu") return result;
  if (!driver) {
    return `${result}: its CUDA build, which stays on the CPU because this machine has no NVIDIA driver`;
  }
  throw new InputError(
    `TensorFlow stayed on the CPU although there is ${card ?? "an NVIDIA driver"}: ` +
      (await whyNotCuda(place.package, place.env, attempt.said)),
  );
}

/** Why TensorFlow's CUDA build uses no card where there is a driver, and what to do. */
export async function whyNotCuda(
  packageDirectory: string,
  env: NodeJS.ProcessEnv,
  said: string | undefined,
): Promise<string> {
  const missing = await missingCudaLibraries(packageDirectory, env);
  if (missing.length > 0) {
    const bring = "npm run setup:tensorflow -- --device cuda --with-cuda-libs brings them";
    return `it cannot open ${missing.join(", ")}; ${bring}`;
  }
  return `${said ? `it says "${said}"` : "it does not say why"}; see whether nvidia-smi lists the card`;
}
