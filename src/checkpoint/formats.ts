import { InputError } from "../util/errors.js";
import { formatValue } from "../util/format.js";
import { type CheckpointFile, type CheckpointFiles, EXPECTED, GGUF } from "./checkpoint-files.js";

// Models are published in several formats, and Hugging Face's directory is the one that is read here. For each of the
// others there is an error that says what to do.

/** Meta's own files; downloads of its repositories on Hugging Face have them in `original/` too. */
const META = /^(?:original\/)?(?:params\.json|consolidated\.00\.pth)$/;

/**
 * Rejects a directory without config.json that holds a model in another format.
 *
 * @throws InputError that names the format, and the command that downloads the right one if there is one
 */
export function rejectOtherFormats(files: CheckpointFiles): void {
  if (files.has("config.json")) return;
  if (files.names.some((name) => META.test(name))) {
    throw new InputError(
      `${files.directory} must be ${EXPECTED}, but is in Meta's own format (params.json, consolidated.00.pth); ` +
        "run npm run download -- meta-llama/Llama-3.2-1B",
    );
  }
  rejectGguf(files);
}

/**
 * The file with a directory's weights, or the index of several.
 *
 * @throws InputError when there is none; it names the format of the weights that are there instead
 */
export function findWeights(files: CheckpointFiles): CheckpointFile {
  const weights = files.find("model.safetensors") ?? files.find("model.safetensors.index.json");
  if (weights) return weights;
  const pytorch = ["pytorch_model.bin", "pytorch_model.bin.index.json"].find((name) => files.has(name));
  if (pytorch) {
    throw new InputError(
      `${files.directory} must hold model.safetensors, got ${pytorch}, a format that can run code; ` +
        "convert it with transformers' save_pretrained",
    );
  }
  rejectGguf(files);
  return files.get("model.safetensors");
}

function rejectGguf({ directory, names }: CheckpointFiles): void {
  const gguf = names.find((name) => GGUF.test(name));
  if (gguf === undefined) return;
  throw new InputError(
    `${directory} must be ${EXPECTED}, but holds ${formatValue(gguf)}, and GGUF is not supported`,
  );
}
