/** Chunks of the prompt of `PREFILL_LENGTH` tokens, the whole prompt first. */
export const CHUNKS = [512, 256, 128, 64, 32] as const;

/** Tokens of the prompt that is prefilled in chunks. */
export const PREFILL_LENGTH = 512;

/** Positions of a block. */
export const BLOCK_SIZES = [4, 8] as const;

/** The ring that the figure shows. */
export const RING = { window: 10, sinks: 2, prefillChunk: 1 } as const;

/** Sliding windows whose loss is measured. */
export const WINDOWS = [
  { window: 96, sinks: 0 },
  { window: 64, sinks: 0 },
  { window: 32, sinks: 0 },
  { window: 16, sinks: 0 },
  { window: 12, sinks: 4 },
] as const;

/** Quantized caches whose loss is measured; the first is the one that the figure starts with. */
export const ROUNDINGS = [
  { bits: 4, keys: "channel" },
  { bits: 4, keys: "token" },
  { bits: 8, keys: "channel" },
  { bits: 8, keys: "token" },
] as const;

/** Sequences that are decoded together. */
export const BATCH_SIZES = [3, 2] as const;

/** Drafts: a small model of their own, the model's first n layers, or prompt look-up. */
export const DRAFTS = ["small", 4, 1, "lookup"] as const;

/** Tokens that a draft guesses in a round, at most. */
export const GUESSES = 4;
