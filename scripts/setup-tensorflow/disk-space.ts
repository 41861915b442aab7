import { mkdir, stat } from "node:fs/promises";
import { InputError } from "../../src/util/errors.js";
import type { Place } from "./place.js";

/** "1.13 GB", in millions and billions of bytes. */
export const size = (bytes: number): string =>
  bytes < 1e9 ? `${Math.ceil(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;

/**
 * Refuses to start when what is to come would not fit.
 *
 * @param inCache   bytes needed at one time where the native part is made
 * @param inPackage bytes of its copy in node_modules, needed only if that is another file system
 */
export async function checkDiskSpace(place: Place, inCache: number, inPackage: number): Promise<void> {
  await mkdir(place.cache, { recursive: true });
  const [cache, modules] = await Promise.all([stat(place.cache), stat(place.package)]);
  const needs = [{ directory: place.cache, bytes: inCache, remedy: "set XDG_CACHE_HOME to a larger disk" }];
  if (cache.dev !== modules.dev) {
    needs.push({
      directory: place.package,
      bytes: inPackage,
      remedy: "move the repository to a larger disk",
    });
  }
  for (const { directory, bytes, remedy } of needs) {
    if (bytes === 0) continue;
    const free = await place.freeBytes(directory);
    if (free < bytes) {
      throw new InputError(
        `not enough disk space in ${directory}: ${size(bytes)} are needed and ${size(free)} are free; ` +
          `make room, or ${remedy}`,
      );
    }
    place.report.line(`needs ${size(bytes)} in ${directory} while it works, ${size(free)} are free`);
  }
}
