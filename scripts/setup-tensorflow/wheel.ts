import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { type Entry, openPromise } from "yauzl";
import { InputError } from "../../src/util/errors.js";
import type { Device } from "../../src/backend/backend.js";
import type { Place } from "./place.js";
import { parseWheelName, type Wheel } from "./release.js";

/** TensorFlow's C library and its C++ half, as the wheel names them. */
export const LIBRARIES = ["libtensorflow_cc.so.2", "libtensorflow_framework.so.2"] as const;

// A wheel is a zip file of some ten thousand entries; these few are what a C program needs.
const WANTED: readonly [pattern: RegExp, directory: string][] = [
  [/^tensorflow\/(libtensorflow_(?:cc|framework)\.so\.2)$/, "lib"],
  [/^tensorflow\/include\/(tensorflow\/c\/.*\.h)$/, "include"],
  [/^tensorflow\/include\/(xla\/tsl\/c\/.*\.h)$/, "include"],
  [/^tensorflow\/include\/(.*\/platform\/ctstring\w*\.h)$/, "include"],
];
const NEEDED = [...LIBRARIES.map((name) => join("lib", name)), "include/tensorflow/c/c_api.h"];

/** Refuses a wheel that the user gives if its name says that it is another one than the pinned. */
export async function checkWheelName(path: string, wheel: Wheel, device: Device): Promise<void> {
  const file = basename(path);
  if (!(await stat(path).catch(() => undefined))?.isFile()) {
    throw new InputError(`--from ${path}: there is no such file; expected the wheel ${wheel.file}`);
  }
  if (file === wheel.file) return;
  const [given, expected] = [parseWheelName(file), parseWheelName(wheel.file)!];
  const differences = given
    ? (Object.keys(expected) as (keyof typeof expected)[])
        .filter((part) => given[part] !== expected[part])
        .map((part) => `${part} ${given[part]}, expected ${expected[part]}`)
    : ["not the name of a wheel"];
  throw new InputError(`--from ${file}: --device ${device} needs ${wheel.file} (${differences.join("; ")})`);
}

/** Refuses a wheel whose bytes are not the pinned ones. */
export async function checkWheelHash(path: string, wheel: Wheel, place: Place): Promise<void> {
  const { size } = await stat(path);
  const hash = createHash("sha256");
  await place.report.step(`checking ${basename(path)}`, size, async (progress) => {
    await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), counter(progress), hash, {
      ...(place.signal && { signal: place.signal }),
    });
  });
  const sha256 = hash.digest("hex");
  if (sha256 !== wheel.sha256) {
    throw new InputError(
      `${path} is damaged or another file: its sha256 is ${sha256}, expected ${wheel.sha256}; delete it and download it again`,
    );
  }
}

/** Takes the libraries and the C headers out of a wheel: into lib/ and include/ of the directory. */
export async function extract(path: string, directory: string, wheel: Wheel, place: Place): Promise<void> {
  const missing = new Set(NEEDED);
  const title = `extracting the C library of TensorFlow ${place.release.tensorflow}`;
  await place.report.step(title, wheel.unpackedBytes, async (progress) => {
    const zip = await openPromise(path).catch((error: Error) => {
      throw new InputError(`${path} cannot be read as a zip file: ${error.message}; download it again`);
    });
    let before = 0;
    for await (const entry of zip.eachEntry()) {
      const target = targetOf(entry);
      if (!target) continue;
      await mkdir(dirname(join(directory, target)), { recursive: true });
      await pipeline(
        await zip.openReadStreamPromise(entry),
        counter((done) => progress(before + done)),
        createWriteStream(join(directory, target)),
        { ...(place.signal && { signal: place.signal }) },
      );
      before += entry.uncompressedSize;
      missing.delete(target);
    }
  });
  if (missing.size > 0) {
    throw new InputError(`${path} holds no ${[...missing].join(", no ")}; expected a wheel of TensorFlow`);
  }
}

// yauzl has refused names with "..", absolute ones, and sizes that do not fit.
function targetOf({ fileName }: Entry): string | undefined {
  for (const [pattern, directory] of WANTED) {
    const name = pattern.exec(fileName)?.[1];
    if (name) return join(directory, name);
  }
  return undefined;
}

/** Passes bytes through and tells how many. */
function counter(progress: (done: number) => void): Transform {
  let done = 0;
  return new Transform({
    transform(chunk: Buffer, _, pass) {
      progress((done += chunk.length));
      pass(null, chunk);
    },
  });
}
