import { access } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { run } from "./run-command.js";

/**
 * Where the dynamic linker would find libraries by name: in LD_LIBRARY_PATH, in other directories that a program
 * names, in the linker's own cache.
 *
 * @returns for each name a path, or undefined
 */
export async function findLibraries(
  names: readonly string[],
  env: NodeJS.ProcessEnv,
  directories: readonly string[] = [],
): Promise<Map<string, string | undefined>> {
  const listed = (env["LD_LIBRARY_PATH"] ?? "").split(delimiter).filter((directory) => directory !== "");
  const withSbin = { ...env, PATH: `${env["PATH"] ?? ""}:/usr/sbin:/sbin` };
  const { stdout: cache } = await run("ldconfig", ["-p"], withSbin); // "	libm.so.6 (libc6,x86-64) => /lib/libm.so.6"
  const found = new Map<string, string | undefined>();
  for (const name of names) {
    const paths = [...listed, ...directories].map((directory) => join(directory, name));
    const cached = cache.split("\n").find((line) => line.trim().startsWith(`${name} `));
    if (cached) paths.push(cached.slice(cached.indexOf("=>") + 2).trim());
    const present = await Promise.all(
      paths.map((path) =>
        access(path).then(
          () => true,
          () => false,
        ),
      ),
    );
    found.set(name, paths[present.indexOf(true)]);
  }
  return found;
}
