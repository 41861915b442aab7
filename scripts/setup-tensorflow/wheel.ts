import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { openPromise } from "yauzl";
import { InputError } from "../../src/util/errors.js";
import type { Environment } from "./environment.js";
import type { Wheel } from "./release.js";

/** TensorFlow's C library and its C++ library, by their names in the wheel. */
export const LIBRARIES = ["libtensorflow_cc.so.2", "libtensorflow_framework.so.2"] as const;

// A wheel is a zip file with about ten thousand entries; a C program needs these few.
const WANTED: readonly [pattern: RegExp, directory: string][] = [
  [/^tensorflow\/(libtensorflow_(?:cc|framework)\.so\.2)$/, "lib"],
  [/^tensorflow\/include\/(tensorflow\/c\/.*\.h)$/, "include"],
  [/^tensorflow\/include\/(xla\/tsl\/c\/.*\.h)$/, "include"],
  [/^tensorflow\/include\/(.*\/platform\/ctstring\w*\.h)$/, "include"],
];
const REQUIRED = [...LIBRARIES.map((name) => join("lib", name)), "include/tensorflow/c/c_api.h"];

/** Throws an InputError unless the user's file has the name of the pinned wheel. */
export async function checkWheelName(path: string, wheel: Wheel): Promise<void> {
  const isFile = (await stat(path).catch(() => undefined))?.isFile() ?? false;
  if (isFile && basename(path) === wheel.file) return;
  const got = isFile ? path : `${path}, which is no file`;
  throw new InputError(`--from must name the wheel ${wheel.file}, got ${got}: download that one from PyPI`);
}

/**
 * Extracts the libraries and the C headers of a wheel into lib/ and include/ of a directory.
 *
 * @throws InputError if the file has other bytes than the pinned wheel
 */
export async function extract(
  path: string,
  wheel: Wheel,
  directory: string,
  { log, signal }: Environment,
): Promise<void> {
  log(`extracting the C library from ${wheel.file}`);
  const hash = createHash("sha256");
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash, { signal });
  const sha256 = hash.digest("hex");
  if (sha256 !== wheel.sha256) {
    throw new InputError(`the sha256 of ${path} must be ${wheel.sha256}, got ${sha256}: download it again`);
  }
  const missing = new Set(REQUIRED);
  const zip = await openPromise(path).catch((error: Error) => {
    throw new InputError(`${path} must be a zip file (${error.message}): download it again`);
  });
  for await (const entry of zip.eachEntry()) {
    const name = targetOf(entry.fileName);
    if (!name) continue;
    const target = join(directory, name);
    await mkdir(dirname(target), { recursive: true });
    await pipeline(await zip.openReadStreamPromise(entry), createWriteStream(target), { signal });
    missing.delete(name);
  }
  if (missing.size > 0) {
    throw new InputError(`${path} must be a wheel of TensorFlow, but lacks ${[...missing].join(", ")}`);
  }
}

// yauzl has rejected absolute names, names with "..", and wrong sizes.
function targetOf(fileName: string): string | undefined {
  for (const [pattern, directory] of WANTED) {
    const name = pattern.exec(fileName)?.[1];
    if (name) return join(directory, name);
  }
  return undefined;
}
