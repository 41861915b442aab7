import { PACKAGE, packageDirectory } from "../../src/backend/tensorflow.js";
import { cacheDirectory } from "../../src/util/file-system.js";
import { InputError } from "../../src/util/errors.js";
import { type Release, RELEASE } from "./release.js";
import { type Attempt, tryBackend } from "./try-backend.js";

/** Everything outside the installer that it reads or changes; tests replace it with a temporary directory. */
export interface Environment {
  /** The directory where the native part is made; it survives `npm ci`. */
  readonly cache: string;
  /** The directory of @tensorflow/tfjs-node-gpu in node_modules. */
  readonly package: string;
  readonly env: NodeJS.ProcessEnv;
  readonly platform: string;
  readonly arch: string;
  /** Undefined where the C library is another one, such as Alpine's musl. */
  readonly glibc: string | undefined;
  readonly release: Release;
  readonly signal: AbortSignal;
  log(line: string): void;
  tryBackend(): Promise<Attempt>;
}

/**
 * This machine, this user and this clone of the repository.
 *
 * @throws InputError if node_modules lacks TensorFlow.js's package
 */
export function thisEnvironment(signal: AbortSignal): Environment {
  const directory = packageDirectory();
  if (!directory) throw new InputError(`${PACKAGE} must be in node_modules, but is missing: run npm ci`);
  return {
    cache: cacheDirectory(process.env, "tensorflow"),
    package: directory,
    env: process.env,
    platform: process.platform,
    arch: process.arch,
    glibc: glibcVersion(),
    release: RELEASE,
    signal,
    log: (line) => console.error(line), // stdout is for the result
    tryBackend: () => tryBackend("tensorflow", signal),
  };
}

/** The version of the C library; undefined if it is not glibc. */
export function glibcVersion(): string | undefined {
  Object.assign(process.report, { excludeNetwork: true }); // else it looks up the host names of open connections
  const { header } = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
  return header?.glibcVersionRuntime;
}
