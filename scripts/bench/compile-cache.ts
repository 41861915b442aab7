import { rmSync } from "node:fs";
import { temporaryDirectory } from "../../src/util/file-system.js";

/** Does work with an environment whose compile cache is empty at first, so that XLA compiles what it needs. */
export async function withEmptyCompileCache<Result>(
  work: (env: NodeJS.ProcessEnv) => Promise<Result>,
): Promise<Result> {
  const cache = temporaryDirectory("compile-cache");
  try {
    return await work({ ...process.env, XDG_CACHE_HOME: cache });
  } finally {
    rmSync(cache, { recursive: true, force: true });
  }
}
