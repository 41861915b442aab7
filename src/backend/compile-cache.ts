import { createHash } from "node:crypto";
import { accessSync, constants, existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { cacheDirectory } from "../util/file-system.js";

/**
 * The directory in which XLA keeps the calls that it has compiled, one for each compiler: see `compilerKey`.
 *
 * @param env   with XLA_FLAGS and NVIDIA_TF32_OVERRIDE as TensorFlow will read them
 * @param built time at which TensorFlow's native part was built
 * @returns     undefined where it cannot be used: XLA's flags end at white space, and it has to be writable
 */
export function compileCache(env: NodeJS.ProcessEnv, built: number): string | undefined {
  const directory = cacheDirectory(env, join("compiled", compilerKey(env, built)));
  return !/\s/.test(directory) && canWrite(directory) ? directory : undefined;
}

/** Hash of what XLA's code depends on beside the graph: processors and drivers, flags, and the TensorFlow that was built. */
function compilerKey(env: NodeJS.ProcessEnv, built: number): string {
  const files = ["/proc/cpuinfo", "/proc/driver/nvidia/version"];
  const gpus = "/proc/driver/nvidia/gpus";
  if (existsSync(gpus)) files.push(...readdirSync(gpus).map((gpu) => join(gpus, gpu, "information")));
  const texts = files.filter(existsSync).map((file) => readFileSync(file, "utf8"));
  const lines = texts.flatMap((text) => text.match(/^(?:model name|flags|Model|NVRM version)\s*:.*/gm) ?? []);
  const facts = [cpus()[0]?.model, ...new Set(lines), env["XLA_FLAGS"], env["NVIDIA_TF32_OVERRIDE"], built];
  return createHash("sha256").update(facts.join("\n")).digest("hex").slice(0, 16);
}

/** True if files can be written to a directory, which is made where it is missing. */
function canWrite(directory: string): boolean {
  try {
    mkdirSync(directory, { recursive: true });
    accessSync(directory, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
