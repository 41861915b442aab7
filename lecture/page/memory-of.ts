/** An attention variant: the numbers of a position in one layer depend on it. */
export interface MemoryModel {
  readonly name: string;
  readonly layers: number;
  /** Query heads: the KV heads of multi-head attention. */
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** Parameters in billions. */
  readonly parameters: number;
  /**
   * Numbers of a position in one layer of a model with multi-head latent attention (MLA, DeepSeek-AI 2024): the
   * compressed keys and values, and the part of the key that RoPE rotates.
   */
  readonly latent?: number;
}

/** Sizes from the models' published config.json. */
export const MEMORY_MODELS: Readonly<Record<string, MemoryModel>> = {
  "llama-3.2-1b": sized("Llama 3.2 1B", 16, 32, 8, 64, 1.24),
  "llama-3.1-8b": sized("Llama 3.1 8B", 32, 32, 8, 128, 8.03),
  "llama-3.1-70b": sized("Llama 3.1 70B", 80, 64, 8, 128, 70.6),
  "llama-2-7b": sized("Llama 2 7B", 32, 32, 32, 128, 6.74),
  "deepseek-v3": { ...sized("DeepSeek V3", 61, 128, 128, 128, 671), latent: 512 + 64 },
};

function sized(
  name: string,
  layers: number,
  heads: number,
  kvHeads: number,
  headDim: number,
  parameters: number,
): MemoryModel {
  return { name, layers, heads, kvHeads, headDim, parameters };
}

/** Memory of GPUs in gigabytes: a workstation's, an H100's and an H200's. */
export const GPUS = [24, 80, 141] as const;

/** Sizes whose cache the page computes. */
export interface MemoryOf {
  /** A key of MEMORY_MODELS. */
  readonly model: string;
  readonly layers: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** Positions of each request. */
  readonly context: number;
  /** Requests. */
  readonly batch: number;
  /** Bits of a number. */
  readonly bits: number;
}

/** The values that each slider has. */
export const MEMORY_STEPS = {
  layers: [8, 16, 24, 28, 32, 40, 48, 61, 64, 80, 96, 126],
  kvHeads: [1, 2, 4, 8, 16, 32, 64, 128],
  headDim: [32, 64, 96, 128, 192, 256],
  context: [512, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536, 131_072],
  batch: [1, 2, 4, 8, 16, 32, 64, 128, 256],
  bits: [4, 8, 16, 32],
} as const;

/** The sizes of a model, with the given context, batch and bits. */
export function sizesOf(name: string, rest: Pick<MemoryOf, "context" | "batch" | "bits">): MemoryOf {
  const { layers, kvHeads, headDim } = MEMORY_MODELS[name]!;
  const { context, batch, bits } = rest;
  return { model: name, layers, kvHeads, headDim, context, batch, bits };
}

/** The request that the chapter's question is about. */
export const DEFAULT_MEMORY: MemoryOf = sizesOf("llama-3.1-8b", { context: 8192, batch: 1, bits: 16 });

/** Bytes of the cache for one position of one request. A model with MLA keeps its latent vector instead. */
export function bytesPerPosition({ model, layers, kvHeads, headDim, bits }: MemoryOf): number {
  const { latent } = MEMORY_MODELS[model]!;
  return ((latent ?? 2 * kvHeads * headDim) * layers * bits) / 8;
}

/** Bytes of the cache of all requests. */
export const memoryBytes = (of: MemoryOf): number => of.batch * of.context * bytesPerPosition(of);

/** Bytes of the model's weights in 16 bits. */
export const weightBytesOf = ({ model }: MemoryOf): number => MEMORY_MODELS[model]!.parameters * 1e9 * 2;

/** Number of requests whose caches fit beside the weights, in a memory of `gigabytes`; 0 if the weights do not. */
export function requestsThatFit(of: MemoryOf, gigabytes: number): number {
  const left = gigabytes * 1e9 - weightBytesOf(of);
  return Math.max(0, Math.floor(left / (of.context * bytesPerPosition(of))));
}

const SIZES = ["layers", "kvHeads", "headDim", "context", "batch", "bits"] as const;

/** Writes sizes as "llama-3.1-8b,32,8,128,8192,1,16". */
export const memoryToText = (of: MemoryOf): string => [of.model, ...SIZES.map((name) => of[name])].join();

/** Parses what `memoryToText` writes; DEFAULT_MEMORY for anything that the sliders do not have. */
export function parseMemory(text: string | null): MemoryOf {
  const [model, ...values] = (text ?? "").split(",");
  const sizes = Object.fromEntries(SIZES.map((name, i) => [name, Number(values[i])]));
  const known =
    model !== undefined &&
    Object.hasOwn(MEMORY_MODELS, model) &&
    values.length === SIZES.length &&
    SIZES.every((name) => (MEMORY_STEPS[name] as readonly number[]).includes(sizes[name]!));
  return known ? ({ model, ...sizes } as MemoryOf) : DEFAULT_MEMORY;
}
