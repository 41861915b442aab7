import { homedir } from "node:os";
import { join } from "node:path";

/** Where the project keeps what takes long to make, such as the backend's native part: a directory of the user's. */
export function cacheDirectory(env: NodeJS.ProcessEnv, name: string): string {
  return join(env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "kv-cache-lecture", name);
}
