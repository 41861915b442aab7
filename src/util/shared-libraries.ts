import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { run } from "./run-command.js";

/**
 * Looks for libraries where the dynamic linker would: in LD_LIBRARY_PATH, in the given directories, in the linker's
 * cache. Returns the names of those that are missing.
 */
export async function missingLibraries(
  names: readonly string[],
  env: NodeJS.ProcessEnv,
  directories: readonly string[],
): Promise<string[]> {
  const listed = (env["LD_LIBRARY_PATH"] ?? "").split(delimiter).filter((directory) => directory !== "");
  const withSbin = { ...env, PATH: `${env["PATH"] ?? ""}:/usr/sbin:/sbin` };
  const { stdout } = await run("ldconfig", ["-p"], withSbin); // "	libm.so.6 (libc6,x86-64) => /lib/libm.so.6"
  const cached = new Map(stdout.split("\n").map((line) => [line.trim().split(" ")[0], line.split("=> ")[1]]));
  return names.filter((name) => {
    const paths = [...listed, ...directories].map((directory) => join(directory, name));
    return ![...paths, cached.get(name) ?? ""].some((path) => existsSync(path));
  });
}
