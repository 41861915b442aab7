import { mkdir } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import { ADDON } from "../../src/backend/tensorflow.js";
import { InputError } from "../../src/util/errors.js";
import { lastLine, run } from "../../src/util/run-command.js";
import type { Environment } from "./environment.js";
import { LIBRARIES } from "./wheel.js";

/** The command of the C++ compiler, from CXX, with its arguments if it has some ("ccache g++"). */
export const compilerOf = (env: NodeJS.ProcessEnv): [compiler: string, ...args: string[]] =>
  (env["CXX"] || "g++").trim().split(/\s+/) as [string, ...string[]];

/**
 * Compiles the addon that connects Node to TensorFlow's C library: two files of C++. It uses Node-API, so that one build
 * works with every version of Node.
 *
 * @param libtensorflow with lib/ and include/
 * @param directory     receives the addon, as lib/ of TensorFlow.js's package
 */
export async function buildAddon(
  libtensorflow: string,
  directory: string,
  { env, package: tfjs, log, signal }: Environment,
): Promise<void> {
  const [compiler, ...args] = compilerOf(env);
  const output = join(directory, relative("lib", ADDON));
  await mkdir(dirname(output), { recursive: true });
  const nodeHeaders = dirname(createRequire(import.meta.url).resolve("node-api-headers/include/node_api.h"));
  args.push("-O2", "-std=c++17", "-fPIC", "-shared", "-s", "-w", "-DNAPI_VERSION=8");
  args.push(...[nodeHeaders, tfjs, join(libtensorflow, "include")].map((path) => `-I${path}`));
  args.push(...["tfjs_backend.cc", "tfjs_binding.cc"].map((file) => join(tfjs, "binding", file)));
  args.push(`-L${join(libtensorflow, "lib")}`, ...LIBRARIES.map((name) => `-l:${name}`));
  args.push("-Wl,-rpath,$ORIGIN/../../deps/lib", "-o", output); // relative to the addon: no LD_LIBRARY_PATH needed
  log("compiling the addon, which takes about 10 s");
  const { ok, stderr, end } = await run(compiler, args, env, signal);
  if (ok) return;
  const error = stderr.split("\n").find((line) => /\berror\b/i.test(line)) ?? lastLine(stderr);
  throw new InputError(
    `${compiler} cannot compile the addon ("${error.trim() || end}"): name a compiler for C++17 in CXX`,
  );
}
