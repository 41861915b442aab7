import { posix } from "node:path";

/** The imports that a folder of src/ may have, other than its own files. */
interface Layer {
  /** Folders of src/, or single files of a folder that is otherwise out of bounds. */
  readonly src: readonly string[];
  /** Packages by name, and "node:" for all of Node's own modules. Types of other packages count too. */
  readonly packages: readonly string[];
}

/**
 * The layers of src/, lowest first. `model`, `generation`, `cost` and `tokenizer` run in a browser, so they import
 * nothing of Node; a reader of `model` needs to know nothing but TensorFlow.js. src/index.ts may import all of src/.
 */
const LAYERS: Readonly<Record<string, Layer>> = {
  util: { src: [], packages: ["node:", "valibot"] },
  backend: { src: ["util"], packages: ["@tensorflow/", "node:"] },
  tokenizer: {
    src: ["util"],
    packages: ["@huggingface/jinja", "@huggingface/tokenizers", "js-tiktoken", "valibot"],
  },
  model: {
    src: ["util", "backend/in-one-call.ts", "backend/kv-cache-write.ts"],
    packages: ["@tensorflow/tfjs-core"],
  },
  cache: { src: ["util", "model", "cost", "backend"], packages: ["@tensorflow/tfjs-core"] },
  cost: { src: ["util", "model", "backend"], packages: ["@tensorflow/tfjs-core"] },
  generation: { src: ["util", "model", "cache", "tokenizer", "cost"], packages: ["@tensorflow/tfjs-core"] },
  graph: { src: ["util", "model", "cache", "generation", "backend"], packages: ["@tensorflow/", "node:"] },
  checkpoint: {
    src: ["util", "model", "tokenizer", "cost", "backend"],
    packages: ["@tensorflow/tfjs-core", "node:crypto", "node:fs", "node:path", "valibot"], // no network
  },
  hub: { src: ["util", "checkpoint/weight-files.ts"], packages: ["node:", "valibot"] },
};

/**
 * Every import that LAYERS forbids, as "FILE: imports X, but …"; empty when all is well.
 *
 * @param sources the files' texts by their paths from the repository's root
 */
export function findForbiddenImports(sources: ReadonlyMap<string, string>): string[] {
  return Array.from(sources).flatMap(([file, text]) => {
    const [top, folder = "", ...rest] = file.split("/");
    if (top !== "src" || rest.length === 0) return []; // scripts, lecture, test and src/index.ts import what they like
    const layer = LAYERS[folder];
    if (!layer) return [`${file}: src/${folder} must be one of the layers in scripts/check/layers.ts`];
    const allowed = [...layer.src.map((name) => `src/${name}`), ...layer.packages];
    const own = [`src/${folder}`, ...allowed];
    const isAllowed = (target: string) =>
      own.some((name) => target === name || target.startsWith(name.replace(/(?<!:|\/)$/, "/")));
    return importsOf(file, text)
      .filter((target) => !isAllowed(target))
      .map(
        (target) => `${file}: imports ${target}, src/${folder} may import ${allowed.join(", ") || "nothing"}`,
      );
  });
}

/**
 * The targets of `import … from`, `import "…"`, `import type`, `export … from`, `import(…)` and `typeof import(…)`:
 * packages by name, files of the repository by path. A comment that looks like an import counts as one.
 */
function importsOf(file: string, text: string): string[] {
  const specifiers = text.matchAll(/\b(?:from|import)\s*\(?\s*"([^"\n]+)"/g);
  return Array.from(specifiers, ([, specifier]) =>
    specifier!.startsWith(".")
      ? posix.join(posix.dirname(file), specifier!).replace(/\.js$/, ".ts") // src/ has no .tsx
      : specifier!,
  );
}
