import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { openPromise } from "yauzl";
import { InputError } from "../../src/util/errors.js";
import { run } from "../../src/util/run-command.js";
import type { Environment } from "./environment.js";
import type { Wheel } from "./release.js";

/** TensorFlow's C library and its C++ library, by their names in the wheel. */
export const LIBRARIES = ["libtensorflow_cc.so.2", "libtensorflow_framework.so.2"] as const;

// A wheel is a zip file with about ten thousand entries; a C program needs these few.
const LIBRARY = /^tensorflow\/(libtensorflow_(?:cc|framework)\.so\.2)$/;
const HEADER = /^tensorflow\/include\/((?:tensorflow|xla\/tsl)\/c\/.*\.h|.*\/platform\/ctstring\w*\.h)$/;
const REQUIRED = [
  ...LIBRARIES.map((name) => join("lib", name)),
  join("include", "tensorflow", "c", "c_api.h"),
];

/** Fills a directory with lib/ and include/ of the wheel, downloaded from PyPI. */
export async function installLibrary(
  wheel: Wheel,
  directory: string,
  environment: Environment,
): Promise<void> {
  const [project, version, python, abi, platform] = wheel.file.replace(/\.whl$/, "").split("-") as string[];
  const target = ["--python-version", python!.slice(2), "--implementation", "cp", "--abi", abi!];
  const requirement = `${project}==${version} --hash=sha256:${wheel.sha256}`;
  const command = ["download", ...target, "--platform", platform!, "--dest"];
  await pip(command, [requirement], directory, environment, (files) =>
    extract(join(files, wheel.file), wheel, directory, environment),
  );
}

/**
 * Extracts the libraries and the C headers of a wheel.
 *
 * @throws InputError if the file has other bytes than the pinned wheel
 */
async function extract(
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
  // yauzl rejects absolute names, names with "..", and wrong sizes.
  for await (const entry of zip.eachEntry()) {
    const library = LIBRARY.exec(entry.fileName)?.[1];
    const header = HEADER.exec(entry.fileName)?.[1];
    if (!library && !header) continue;
    const name = library ? join("lib", library) : join("include", header!);
    const target = join(directory, name);
    await mkdir(dirname(target), { recursive: true });
    await pipeline(await zip.openReadStreamPromise(entry), createWriteStream(target), { signal });
    missing.delete(name);
  }
  if (missing.size > 0) {
    throw new InputError(`${path} must be a wheel of TensorFlow, but lacks ${[...missing].join(", ")}`);
  }
}

/**
 * Runs pip, which shows its progress and its errors itself, and checks the hashes. All that it writes is in a
 * subdirectory, which is removed: also its own temporary files, since /tmp may be small, and no cache.
 *
 * @param command      to which the directory for the files is appended
 * @param requirements in pip's format, with hashes
 * @param take         moves or extracts the files
 */
export async function pip(
  command: readonly string[],
  requirements: readonly string[],
  directory: string,
  { env, signal }: Environment,
  take: (files: string) => Promise<void>,
): Promise<void> {
  const temporary = join(directory, "pip");
  const files = join(temporary, "files");
  const list = join(temporary, "requirements.txt");
  await mkdir(files, { recursive: true });
  await writeFile(list, requirements.join("\n"));
  const args = ["-m", "pip", ...command, files, "--no-deps", "--only-binary=:all:", "--no-cache-dir"];
  args.push("--disable-pip-version-check", "--no-input", "--require-hashes", "--requirement", list);
  const settings = { TMPDIR: temporary, PIP_REQUIRE_VIRTUALENV: "0", PIP_USER: "0" };
  const { ok, end } = await run("python3", args, { ...env, ...settings }, signal, "shown");
  if (!ok) {
    throw new InputError(
      `pip failed with ${end}, see its output above: check the network and pip's settings ` +
        "(python3 -m pip config list)",
    );
  }
  await take(files);
  await rm(temporary, { recursive: true });
}
