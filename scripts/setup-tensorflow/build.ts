import { mkdir, rename, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { ADDON } from "../../src/backend/tensorflow.js";
import { InputError } from "../../src/util/errors.js";
import { lastLine, run } from "../../src/util/run-command.js";
import type { Environment } from "./environment.js";
import { pip } from "./pip.js";

/** The build's differences between operating systems. */
interface Toolchain {
  readonly compiler: string;
  /** TensorFlow's C++ library and C library. */
  readonly libraries: readonly string[];
  readonly flags: readonly string[];
  /** The addon's own directory, as the dynamic linker names it. */
  readonly origin: string;
}

const TOOLCHAINS: Readonly<Record<string, Toolchain>> = {
  linux: {
    compiler: "g++",
    libraries: ["libtensorflow_cc.so.2", "libtensorflow_framework.so.2"],
    flags: ["-s"],
    origin: "$ORIGIN",
  },
  darwin: {
    compiler: "clang++",
    libraries: ["libtensorflow_cc.2.dylib", "libtensorflow_framework.2.dylib"],
    flags: ["-undefined", "dynamic_lookup"], // Node's functions are looked up when the addon is loaded
    origin: "@loader_path",
  },
};

const toolchainOf = ({ platform }: Pick<Environment, "platform">): Toolchain => TOOLCHAINS[platform]!;

/** The command of the C++ compiler, from CXX, with its arguments if it has some ("ccache g++"). */
export const compilerOf = (
  environment: Pick<Environment, "platform" | "env">,
): [compiler: string, ...args: string[]] =>
  (environment.env["CXX"] || toolchainOf(environment).compiler).trim().split(/\s+/) as [string, ...string[]];

/** Makes the native part from TensorFlow's Python package: its libraries in deps/lib, and the addon in lib. */
export async function build(requirement: string, directory: string, environment: Environment): Promise<void> {
  const unpacked = join(directory, "pip");
  await pip([requirement], unpacked, environment);
  const libraries = join(directory, "deps", "lib");
  await mkdir(libraries, { recursive: true });
  for (const name of toolchainOf(environment).libraries) {
    await rename(join(unpacked, "tensorflow", name), join(libraries, name));
  }
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
  environment: Environment,
): Promise<void> {
  const { env, package: tfjs, log, signal } = environment;
  const { libraries: names, flags, origin } = toolchainOf(environment);
  const [compiler, ...args] = compilerOf(environment);
  await mkdir(dirname(addon), { recursive: true });
  const nodeHeaders = dirname(createRequire(import.meta.url).resolve("node-api-headers/include/node_api.h"));
  args.push("-O2", "-std=c++17", "-fPIC", "-shared", "-w", "-DNAPI_VERSION=8");
  args.push(...[nodeHeaders, tfjs, headers].map((path) => `-I${path}`));
  args.push(...["tfjs_backend.cc", "tfjs_binding.cc"].map((file) => join(tfjs, "binding", file)));
  args.push(...flags, ...names.map((name) => join(libraries, name)));
  args.push(`-Wl,-rpath,${origin}/../../deps/lib`, "-o", addon); // relative to the addon: no LD_LIBRARY_PATH needed
  log("compiling the addon, which takes about 10 s");
  const { ok, stderr, end } = await run(compiler, args, env, signal);
  if (ok) return;
  const error = stderr.split("\n").find((line) => /\berror\b/i.test(line)) ?? lastLine(stderr);
  throw new InputError(
    `${compiler} cannot compile the addon ("${error.trim() || end}"): name a compiler for C++17 in CXX`,
  );
}
