import { closeSync, fstatSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** What TensorFlow writes to stderr before it has read how much it shall log; no setting keeps it from that. */
const NOISE = [
  /^WARNING: All log messages before absl::InitializeLog\(\)/,
  /^[IW]\d{4} .*(?:oneDNN custom operations are on|TF_FORCE_GPU_ALLOW_GROWTH environment variable is set)/,
];

const STDERR = 2;

/** A log without that noise. */
export const withoutNoise = (log: string): string =>
  log
    .split("\n")
    .filter((line) => !NOISE.some((noise) => noise.test(line)))
    .join("\n");

/**
 * Runs what loads a native library, without the library's known noise on stderr. Every other line appears, after the
 * call. Only where stderr is a terminal or a pipe, on Linux: a closed descriptor of those can be opened again. A file
 * that was opened again would be written from its beginning, over what stdout writes there, so nothing is held back.
 */
export function quietly<Result>(load: () => Result): Result {
  const capture = captureStderr();
  if (!capture) return load();
  try {
    return load();
  } finally {
    const rest = withoutNoise(capture());
    try {
      if (rest.trim()) writeSync(STDERR, rest);
    } catch {
      // nobody reads it, and what was loaded is none the worse
    }
  }
}

/** Sends descriptor 2 to a file. Returns what ends that and tells what was written, or undefined if it cannot be done. */
function captureStderr(): (() => string) | undefined {
  if (process.platform !== "linux") return undefined;
  let original: number;
  let directory: string;
  try {
    if (fstatSync(STDERR).isFile()) return undefined;
    original = openSync("/proc/self/fd/2", "a"); // another descriptor of the same terminal or pipe
    directory = mkdtempSync(join(tmpdir(), "stderr-"));
  } catch {
    return undefined;
  }
  const file = join(directory, "log");
  moveTo(file);
  return () => {
    moveTo(`/proc/self/fd/${original}`);
    closeSync(original);
    const written = readFileSync(file, "utf8");
    rmSync(directory, { recursive: true });
    return written;
  };
}

/** Makes descriptor 2 one of `path`: a new descriptor gets the lowest free number, and 2 has just become that. */
function moveTo(path: string): void {
  closeSync(STDERR);
  const opened = openSync(path, "a");
  if (opened !== STDERR) throw new Error(`stderr became descriptor ${opened}, expected ${STDERR}`);
}
