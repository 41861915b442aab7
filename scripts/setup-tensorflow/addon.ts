import { mkdir } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { InputError } from "../../src/util/errors.js";
import { lastLine, run } from "../../src/util/run-command.js";
import type { Place } from "./place.js";
import { LIBRARIES } from "./wheel.js";

/** Where TensorFlow.js looks for its addon, below lib/ of its package. */
const ADDON = join("napi-v8", "tfjs_binding.node");

/** The compiler that CXX names, which may have arguments ("ccache g++"); else g++. */
const compilerOf = ({ env }: Place): string[] => (env["CXX"] || "g++").trim().split(/\s+/);

/** Refuses to start without a C++ compiler. */
export async function checkCompiler(place: Place): Promise<void> {
  const [compiler, ...args] = compilerOf(place);
  const { ok, missing, stderr, end } = await run(compiler!, [...args, "--version"], place.env, place.signal);
  if (ok) return;
  throw new InputError(
    `the C++ compiler ${compiler} ${missing ? "is not on the PATH" : `does not work ("${lastLine(stderr) || end}")`}: ` +
      "install one (Debian, Ubuntu: apt install g++; Fedora: dnf install gcc-c++) or name one in CXX",
  );
}

/**
 * Compiles the addon that joins Node to TensorFlow's C library: two files of C++. It uses Node-API, so that one build
 * serves every version of Node.
 *
 * @param libtensorflow with lib/ and include/
 */
export async function buildAddon(libtensorflow: string, directory: string, place: Place): Promise<void> {
  const [compiler, ...args] = compilerOf(place);
  const output = join(directory, ADDON);
  await mkdir(dirname(output), { recursive: true });
  const nodeHeaders = dirname(createRequire(import.meta.url).resolve("node-api-headers/include/node_api.h"));
  args.push("-O2", "-std=c++17", "-fPIC", "-shared", "-s", "-w", "-DNAPI_VERSION=8");
  for (const include of [nodeHeaders, place.package, join(libtensorflow, "include")])
    args.push(`-I${include}`);
  for (const file of ["tfjs_backend.cc", "tfjs_binding.cc"]) args.push(join(place.package, "binding", file));
  args.push(`-L${join(libtensorflow, "lib")}`, ...LIBRARIES.map((name) => `-l:${name}`));
  args.push("-Wl,-rpath,$ORIGIN/../../deps/lib", "-o", output); // found from where it lies, not by LD_LIBRARY_PATH
  await place.report.step("compiling the addon, some 10 s", 0, async () => {
    const { ok, stderr, end } = await run(compiler!, args, place.env, place.signal);
    if (ok) return;
    const firstError = stderr.split("\n").find((line) => /\berror\b/i.test(line)) ?? lastLine(stderr);
    throw new InputError(
      `${compiler} cannot compile the addon ("${firstError.trim() || end}"): expected a compiler of C++17, name another in CXX`,
    );
  });
}
