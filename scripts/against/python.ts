import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { run } from "../../src/engine/setup/command.js";
import { InputError } from "../../src/index.js";

const PACKAGES = ["torch==2.15.0", "transformers==5.23.0", "safetensors==0.8.0", "numpy==2.4.6"];

/**
 * A Python with PyTorch and transformers, in an environment of our own that is made on the first call.
 *
 * @throws InputError where it cannot be made
 */
export async function ownPython(signal: AbortSignal): Promise<string> {
  const cache = process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache");
  const directory = join(cache, "kv-cache-lecture", "against");
  const python = join(directory, "bin", "python");
  if (existsSync(join(directory, "complete"))) return python;
  const steps: [string, string[]][] = [
    ["python3", ["-m", "venv", directory]],
    [python, ["-m", "pip", "install", ...PACKAGES]],
    [
      python,
      ["-c", `import torch, transformers; open(${JSON.stringify(join(directory, "complete"))}, "w").close()`],
    ],
  ];
  for (const [program_, args] of steps) {
    console.error(`${program_} ${args.join(" ")} …`);
    const { ok, end, stderr } = await run(program_, args, process.env, signal);
    if (!ok) throw new InputError(`installing PyTorch in ${directory} failed with ${end}:\n${stderr.trim()}`);
  }
  return python;
}
