import { mkdir, rename, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { ADDON } from "../../src/backend/tensorflow.js";
import { InputError } from "../../src/util/errors.js";
import { lastLine, run } from "../../src/util/run-command.js";
import type { Environment } from "./environment.js";
import { pip } from "./pip.js";

/** TensorFlow's C library and its C++ library. */
const LIBRARIES = ["libtensorflow_cc.so.2", "libtensorflow_framework.so.2"];

/** The command of the C++ compiler, from CXX, with its arguments if it has some ("ccache g++"). */
export const compilerOf = (env: NodeJS.ProcessEnv): [compiler: string, ...args: string[]] =>
  (env["CXX"] || "g++").trim().split(/\s+/) as [string, ...string[]];

/** Makes the native part from TensorFlow's Python package: its libraries in deps/lib, and the addon in lib. */
export async function build(requirement: string, directory: string, environment: Environment): Promise<void> {
  const unpacked = join(directory, "pip");
  await pip([requirement], unpacked, environment);
  const libraries = join(directory, "deps", "lib");
  await mkdir(libraries, { recursive: true });
  for (const name of LIBRARIES) await rename(join(unpacked, "tensorflow", name), join(libraries, name));
  await compileAddon(join(unpacked, "tensorflow", "include"), libraries, join(directory, ADDON), environment);
  await rm(unpacked, { recursive: true });
}

/**
 * Compiles the addon that connects Node to TensorFlow's C library: two files of C++. It uses Node-API, so that one build
 * works with every version of Node.
 */
async function compileAddon(
  headers: string,
  libraries: string,
  addon: string,
  { env, package: tfjs, log, signal }: Environment,
): Promise<void> {
  const [compiler, ...args] = compilerOf(env);
  await mkdir(dirname(addon), { recursive: true });
  const nodeHeaders = dirname(createRequire(import.meta.url).resolve("node-api-headers/include/node_api.h"));
  args.push("-O2", "-std=c++17", "-fPIC", "-shared", "-s", "-w", "-DNAPI_VERSION=8");
  args.push(...[nodeHeaders, tfjs, headers].map((path) => `-I${path}`));
  args.push(...["tfjs_backend.cc", "tfjs_binding.cc"].map((file) => join(tfjs, "binding", file)));
  args.push(`-L${libraries}`, ...LIBRARIES.map((name) => `-l:${name}`));
  args.push("-Wl,-rpath,$ORIGIN/../../deps/lib", "-o", addon); // relative to the addon: no LD_LIBRARY_PATH needed
  log("compiling the addon, which takes about 10 s");
  const { ok, stderr, end } = await run(compiler, args, env, signal);
  if (ok) return;
  const error = stderr.split("\n").find((line) => /\berror\b/i.test(line)) ?? lastLine(stderr);
  throw new InputError(
    `${compiler} cannot compile the addon ("${error.trim() || end}"): name a compiler for C++17 in CXX`,
  );
}
