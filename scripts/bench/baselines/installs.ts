import { existsSync, readFileSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { cacheDirectory } from "../../../src/util/file-system.js";
import { lastLine, run } from "../../../src/util/run-command.js";
import { InputError } from "../../../src/index.js";

/** The modules that the transformers baseline and the converter import. */
const PYTHON_MODULES = "torch, transformers, gguf";
const PYTHON_PACKAGES = [
  "torch==2.15.0",
  "transformers==5.23.0",
  "safetensors==0.8.0",
  "numpy==2.4.6",
  "gguf==0.19.0",
];

/** The version of node-llama-cpp, which brings llama.cpp built for many CPUs. */
export const NODE_LLAMA_CPP = "3.22.1";

/**
 * A Python with PyTorch and transformers, in an environment of our own that is made on the first call.
 *
 * @throws InputError where it cannot be made
 */
export async function ownPython(signal: AbortSignal): Promise<string> {
  const directory = cacheDirectory(process.env, "baselines");
  const python = join(directory, "bin", "python");
  const commands = [
    ["python3", "-m", "venv", directory],
    [python, "-m", "pip", "install", ...PYTHON_PACKAGES],
    [python, "-c", `import ${PYTHON_MODULES}`],
  ];
  await installOnce("PyTorch", directory, PYTHON_PACKAGES, commands, signal);
  return python;
}

/**
 * Tries the user's Python out.
 *
 * @throws InputError where it cannot be run, or lacks what is needed
 */
export async function checkPython(python: string, signal: AbortSignal): Promise<void> {
  const { ok, end, stderr } = await run(python, ["-c", `import ${PYTHON_MODULES}`], process.env, signal);
  if (ok) return;
  const said = lastLine(stderr);
  throw new InputError(
    `--python ${python} ended with ${end}${said && ` ("${said}")`}, expected a Python that has ${PYTHON_MODULES}`,
  );
}

/**
 * The module node-llama-cpp with llama.cpp built for CPUs, in a directory of our own that is made on the first
 * call; its builds for GPUs, which npm would take along, are left out.
 *
 * @throws InputError where it cannot be made
 */
export async function ownLlamaCpp(signal: AbortSignal): Promise<string> {
  const { platform, arch } = process;
  if (platform !== "linux" || !["x64", "arm64"].includes(arch)) {
    throw new InputError(
      `llama.cpp is installed here for Linux on x64 and arm64 only, this is ${platform} on ${arch}; --no-llama-cpp leaves it out`,
    );
  }
  const directory = cacheDirectory(process.env, "baselines-llama.cpp");
  const packages = ["node-llama-cpp", `@node-llama-cpp/linux-${arch}`].map(
    (name) => `${name}@${NODE_LLAMA_CPP}`,
  );
  const flags = ["--prefix", directory, "--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund"];
  await installOnce("llama.cpp", directory, packages, [["npm", "install", ...flags, ...packages]], signal);
  return join(directory, "node_modules", "node-llama-cpp", "dist", "index.js");
}

/** Runs commands that install packages in a directory, unless they were all run for the same packages before. */
async function installOnce(
  what: string,
  directory: string,
  packages: readonly string[],
  commands: readonly (readonly string[])[],
  signal: AbortSignal,
): Promise<void> {
  const [mark, wanted] = [join(directory, "complete"), packages.join(" ")];
  if (existsSync(mark) && readFileSync(mark, "utf8") === wanted) return;
  await rm(mark, { force: true });
  await mkdir(directory, { recursive: true });
  for (const [program, ...args] of commands) {
    console.error(`${program} ${args.join(" ")} …`);
    const { ok, end, stderr } = await run(program!, args, process.env, signal);
    if (!ok)
      throw new InputError(`installing ${what} in ${directory} failed with ${end} ("${lastLine(stderr)}")`);
  }
  await writeFile(mark, wanted);
}
