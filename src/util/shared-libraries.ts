import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { run } from "./run-command.js";

/**
 * Finds libraries where the dynamic linker would: in LD_LIBRARY_PATH, in the given directories, in the linker's cache.
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
  const { stdout } = await run("ldconfig", ["-p"], withSbin); // "	libm.so.6 (libc6,x86-64) => /lib/libm.so.6"
  const cache = stdout.split("\n").map((line) => line.trim());
  const find = (name: string): string | undefined => {
    const cached = cache.find((line) => line.startsWith(`${name} `))?.split("=> ")[1];
    const paths = [...listed, ...directories].map((directory) => join(directory, name));
    return [...paths, ...(cached ? [cached] : [])].find((path) => existsSync(path));
  };
  return new Map(names.map((name) => [name, find(name)]));
}
