import { statfs } from "node:fs/promises";
import { InputError } from "../../src/util/errors.js";
import { cacheDirectory } from "../../src/util/file-system.js";
import { type Release, RELEASE } from "./release.js";
import { type Attempt, tryBackend } from "./try-backend.js";
import { PACKAGE, packageDirectory } from "../../src/backend/tensorflow.js";

/** How steps are shown. */
export interface Report {
  /** Something to know. */
  line(text: string): void;
  /** A step that takes a while; `work` tells how many of the bytes are done. */
  step<T>(title: string, bytes: number, work: (progress: (done: number) => void) => Promise<T>): Promise<T>;
}

/** Where and with what the setup works; tests put everything into a temporary directory. */
export interface Place {
  /** The native part is made here, and survives `npm ci`. */
  readonly cache: string;
  /** Of @tensorflow/tfjs-node-gpu, in node_modules. */
  readonly package: string;
  readonly env: NodeJS.ProcessEnv;
  readonly platform: string;
  readonly arch: string;
  /** Undefined where the C library is another, such as Alpine's musl. */
  readonly glibc: string | undefined;
  readonly release: Release;
  readonly report: Report;
  readonly signal?: AbortSignal;
  freeBytes(directory: string): Promise<number>;
  tryBackend(): Promise<Attempt>;
}

/** This machine, this user and this clone of the repository. */
export function thisPlace(report: Report, signal?: AbortSignal): Place {
  const packageFound = packageDirectory();
  if (!packageFound) throw new InputError(`${PACKAGE} is not in node_modules: run npm ci first`);
  const { env } = process;
  return {
    cache: cacheDirectory(env, "tensorflow"),
    package: packageFound,
    env,
    platform: process.platform,
    arch: process.arch,
    glibc: glibcVersion(),
    release: RELEASE,
    report,
    ...(signal && { signal }),
    freeBytes,
    tryBackend: () => tryBackend("tensorflow", signal),
  };
}

/** The C library's version, or undefined where it is not glibc. */
export function glibcVersion(): string | undefined {
  const nodeReport = process.report as typeof process.report & { excludeNetwork?: boolean };
  nodeReport.excludeNetwork = true; // else it looks up the names of open connections
  const { header } = nodeReport.getReport() as { header?: { glibcVersionRuntime?: string } };
  return header?.glibcVersionRuntime;
}

/** What a user may still write to the file system that holds the directory. */
export async function freeBytes(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(directory);
  return bavail * bsize;
}
