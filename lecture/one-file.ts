/**
 * Llama 3.2 with a KV cache in one file: layers, model, generation loop, checkpoint, tokenizer.
 *
 *     npm run one-file                                       tells a fairy tale with the KV cache
 *     npm run one-file -- --no-kv-cache                      tells the same tale without it, slower
 *     npm run one-file -- --prompt "There was once a king"   tells another one
 *
 * The cache is one line of `attention`; its use is two lines of `generate`. src/ holds the same model in one file per
 * layer, with batches, sampling, other backends and input validation; a test holds the tokens and logits of both equal.
 */
import { readFileSync } from "node:fs";
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor, Tensor2D, Tensor3D } from "@tensorflow/tfjs-core";

const checkpoint = (file: string): URL => new URL(`../fixtures/fairy-tales/${file}`, import.meta.url);
const config = JSON.parse(readFileSync(checkpoint("config.json"), "utf8"));

// The letters of the shape comments: C is the hidden size, F the intermediate size, V the vocabulary size. In each call
// T positions are computed, and S are attended to: those T and the past ones. There is no B: one sequence is generated.
const H: number = config.num_attention_heads; // query heads
const K: number = config.num_key_value_heads; // KV heads; H/K query heads share one
const D: number = config.head_dim;
const L: number = config.max_position_embeddings; // the context

type Weights = Record<string, Tensor>; // by name, as in the checkpoint; matrices are [in, out]
type Layer = (name: string) => Tensor; // the weights of one transformer block
type Rotation = [cos: Tensor2D, sin: Tensor2D]; // of RoPE's angles at T positions, [T, D/2] each
type LayerCache = [keys: Tensor3D, values: Tensor3D]; // of all S positions computed by one layer, [K, S, D] each

// ---- Layers ------------------------------------------------------------------------------------------------
/** RMSNorm: scales the vector of each position to a root mean square of 1, then each channel by its weight. */
function rmsNorm(x: Tensor2D, weight: Tensor): Tensor2D {
  const meanSquare = tf.mean(tf.square(x), -1, true); // [T, 1]
  return tf.mul(tf.mul(x, tf.rsqrt(tf.add(meanSquare, config.rms_norm_eps))), weight); // [T, C]
}

/** SwiGLU feed-forward network, on each position alone: (silu(x·gate) ⊙ x·up)·down, silu(z) = z·sigmoid(z). */
function feedForward(x: Tensor2D, layer: Layer): Tensor2D {
  const gate = tf.matMul(x, layer("mlp.gate_proj")); // [T, F]
  const up = tf.matMul(x, layer("mlp.up_proj")); // [T, F]
  return tf.matMul(tf.mul(tf.mul(gate, tf.sigmoid(gate)), up), layer("mlp.down_proj")); // [T, C]
}

/** RoPE: the angle in radians by which each of the D/2 pairs of channels rotates from one position to the next. */
const anglePerPosition = Array.from({ length: D / 2 }, (_, i) => {
  const rope = config.rope_parameters;
  const angle = rope.rope_theta ** ((-2 * i) / D);
  // For contexts longer than the original one, Llama 3.2 slows down the pairs that rotate only a few times in that.
  const rotations = (rope.original_max_position_embeddings * angle) / (2 * Math.PI);
  const fast = (rotations - rope.low_freq_factor) / (rope.high_freq_factor - rope.low_freq_factor);
  const kept = Math.min(1, Math.max(0, fast)); // 1: as fast as before, 0: slower by the whole factor
  return kept * angle + ((1 - kept) * angle) / rope.factor;
});

function rotationOf(prevPos: number, T: number): Rotation {
  const angles = Array.from({ length: T }, (_, t) => anglePerPosition.map((angle) => (prevPos + t) * angle));
  return [Math.cos, Math.sin].map((f) => tf.tensor2d(angles.map((row) => row.map(f)))) as Rotation;
}

/**
 * Rotates channels (i, i + D/2) of queries or keys by the angles of their positions, so that q·k depends only on the
 * distance between the two. This is why keys can be cached: rotated once, a key is right for every later query.
 */
function rotate(x: Tensor3D, [cos, sin]: Rotation): Tensor3D {
  const [a, b] = tf.split(x, 2, -1) as [Tensor3D, Tensor3D]; // [heads, T, D/2] each
  const rotated = [tf.sub(tf.mul(a, cos), tf.mul(b, sin)), tf.add(tf.mul(b, cos), tf.mul(a, sin))];
  return tf.concat(rotated as Tensor3D[], -1); // [heads, T, D]
}

const splitHeads = (x: Tensor2D): Tensor3D => tf.transpose(tf.reshape(x, [x.shape[0], -1, D]), [1, 0, 2]);

/** Grouped-query attention: each position of x attends to itself, to earlier ones in x and to those in the cache. */
function attention(x: Tensor2D, layer: Layer, rotation: Rotation, mask: Tensor2D, cache?: LayerCache) {
  const q = rotate(splitHeads(tf.matMul(x, layer("self_attn.q_proj"))), rotation); // [H, T, D]
  const k = rotate(splitHeads(tf.matMul(x, layer("self_attn.k_proj"))), rotation); // [K, T, D]
  const v = splitHeads(tf.matMul(x, layer("self_attn.v_proj"))); // [K, T, D]

  // THE KV CACHE. A position sees only itself and earlier ones, so its keys and values, once computed, never change.
  // With the cache, x holds only new positions, and the keys and values of the past are looked up. Without it, x holds
  // the whole prefix, and all of them are computed again. Either way they are the same numbers.
  const [keys, values] = cache ? append(cache, k, v) : [k, v]; // [K, S, D]

  const [T, S] = mask.shape;
  const grouped: Tensor3D = tf.reshape(q, [K, (H / K) * T, D]); // all queries of a KV head in one matrix
  const scores = tf.mul(tf.matMul(grouped, keys, false, true), D ** -0.5); // q·kᵀ/√D, [K, H/K*T, S]
  const weights = tf.softmax(tf.add(tf.reshape(scores, [H, T, S]), mask)); // [H, T, S]
  const mixed = tf.matMul(tf.reshape(weights, [K, (H / K) * T, S]), values); // [K, H/K*T, D]
  const joined = tf.transpose(tf.reshape(mixed, [H, T, D]), [1, 0, 2]); // [T, H, D]
  return tf.matMul(tf.reshape(joined, [T, H * D]), layer("self_attn.o_proj")); // [T, C]
}

/** Added to attention scores: 0 where a query may see a key, -1e9 where the key is at a later position, [T, S]. */
function causalMask(prevPos: number, T: number): Tensor2D {
  const queries = tf.reshape(tf.range(prevPos, prevPos + T), [T, 1]);
  return tf.mul(tf.cast(tf.greater(tf.range(0, prevPos + T), queries), "float32"), -1e9);
}

/**
 * Adds T positions to a layer's cache and returns all S, as new tensors. src/model/kv-cache.ts allocates [K, L, D] once
 * and writes in place, with a kernel of its own; reading the filled part is still a copy there.
 */
function append(cache: LayerCache, k: Tensor3D, v: Tensor3D): LayerCache {
  const past = [...cache];
  cache[0] = tf.keep(tf.concat([cache[0], k], 1)); // keep: it outlives the forward pass
  cache[1] = tf.keep(tf.concat([cache[1], v], 1));
  tf.dispose(past);
  return cache;
}

/** The KV cache of one generation, with no position in it yet. */
export const createCache = (): LayerCache[] =>
  Array.from({ length: config.num_hidden_layers }, () => [tf.zeros([K, 0, D]), tf.zeros([K, 0, D])]);

// ---- Model and generation loop -----------------------------------------------------------------------------
/**
 * Embedding → transformer blocks → norm → LM head, for the tokens at positions prevPos … prevPos+T-1. Returns the
 * logits of the next token, [V]. The cache holds all earlier positions and receives these; without it, prevPos is 0.
 */
export function forward(weights: Weights, inputIds: number[], prevPos: number, cache?: LayerCache[]) {
  const T = inputIds.length;
  return tf.tidy(() => {
    const [rotation, mask] = [rotationOf(prevPos, T), causalMask(prevPos, T)];
    const embedding = weights["model.embed_tokens.weight"] as Tensor2D; // [V, C]
    let x = tf.gather(embedding, inputIds); // [T, C]
    for (let i = 0; i < config.num_hidden_layers; i++) {
      const layer: Layer = (name) => weights[`model.layers.${i}.${name}.weight`]!;
      const normed = rmsNorm(x, layer("input_layernorm"));
      const h: Tensor2D = tf.add(x, attention(normed, layer, rotation, mask, cache?.[i]));
      x = tf.add(h, feedForward(rmsNorm(h, layer("post_attention_layernorm")), layer));
    }
    const last = rmsNorm(tf.slice(x, [T - 1, 0]), weights["model.norm.weight"]!); // [1, C]; it predicts the new token
    return tf.matMul(last, embedding, false, true).dataSync<"float32">(); // the embedding is the LM head too
  });
}

/** Continues a prompt greedily, one token per iteration, until a stop token or the end of the context. */
export function* generate(weights: Weights, prompt: number[], cache?: LayerCache[]) {
  const tokens = [...prompt];
  let prevPos = 0;
  for (let curPos = tokens.length; curPos < L; curPos++) {
    const inputIds = tokens.slice(prevPos, curPos); // first the prompt (prefill), then one token (decode step)
    const logits = forward(weights, inputIds, prevPos, cache); // [V]
    const next = logits.indexOf(Math.max(...logits));
    tokens.push(next);
    yield { next, logits, inputIds };
    if (config.eos_token_id.includes(next)) return;
    if (cache) prevPos = curPos; // the past is in the cache; without it, prevPos stays 0
  }
}

// ---- Checkpoint and tokenizer ------------------------------------------------------------------------------
/** Reads a safetensors file: the length of the header in 8 bytes, the header as JSON, the bytes of the tensors. */
export function loadWeights(): Weights {
  const file = readFileSync(checkpoint("model.safetensors"));
  const start = 8 + Number(file.readBigUInt64LE(0));
  const { __metadata__, ...header } = JSON.parse(file.toString("utf8", 8, start));
  const read = (name: string): Tensor => {
    const { dtype, shape, data_offsets: offsets } = header[name];
    if (dtype !== "BF16") throw new Error(`${name} must be BF16, got ${dtype}`);
    const bytes = file.subarray(start + offsets[0], start + offsets[1]);
    const bits = new Uint32Array(bytes.length / 2).map((_, i) => bytes.readUInt16LE(2 * i) << 16); // upper half of F32
    const tensor = tf.tensor(new Float32Array(bits.buffer), shape);
    return name.includes("_proj") ? tf.transpose(tensor) : tensor; // stored as [out, in], used as [in, out]
  };
  return Object.fromEntries(Object.keys(header).map((name) => [name, read(name)]));
}

// tokenizer.model has a line "<bytes in base64> <rank>" per token. Here bytes are strings, one character per byte.
const lines = readFileSync(checkpoint("tokenizer.model"), "utf8").trim().split("\n");
const tokenBytes = lines.map((line) => atob(line.split(" ")[0]!));
const ranks = new Map(tokenBytes.map((bytes, rank) => [bytes, rank]));

// Llama 3 splits a text into pre-tokens first: 're, words, up to three digits, punctuation, line ends, spaces.
const PRE_TOKENS =
  /'(?:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+/giu;

/** Byte-pair encoding: in each pre-token, always merges the two neighbours whose union has the lowest rank. */
export function encode(text: string): number[] {
  const ids = (text.match(PRE_TOKENS) ?? []).flatMap((preToken) => {
    const parts = [...Buffer.from(preToken).toString("latin1")];
    for (;;) {
      const unions = parts.slice(1).map((part, i) => ranks.get(parts[i] + part) ?? Infinity);
      const lowest = Math.min(...unions);
      if (lowest === Infinity) return parts.map((part) => ranks.get(part)!);
      parts.splice(unions.indexOf(lowest), 2, tokenBytes[lowest]!);
    }
  });
  return [config.bos_token_id, ...ids];
}

async function main(args: string[]): Promise<void> {
  process.exitCode = 1; // until all is printed
  process.stdout.on("error", () => process.exit()); // its reader has gone
  let [prompt, useCache] = ["Once upon a time", true];
  for (let option = args.shift(); option !== undefined; option = args.shift()) {
    if (option === "--no-kv-cache") useCache = false;
    else if (option === "--prompt" && args.length > 0) prompt = args.shift()!;
    else return console.error(`error: options must be [--no-kv-cache] [--prompt TEXT], got ${option}`);
  }
  const ids = encode(prompt);
  if (ids.length >= L) return console.error(`error: the prompt must have < ${L} tokens, got ${ids.length}`);
  await import("@tensorflow/tfjs-backend-wasm");
  await tf.setBackend("wasm");
  const [weights, cache] = [loadWeights(), useCache ? createCache() : undefined];
  const decoder = new TextDecoder(); // holds back the bytes of a character until its last one
  let [tokens, positions, started] = [0, 0, performance.now()];
  process.stdout.write(prompt);
  for (const { next, inputIds } of generate(weights, ids, cache)) {
    process.stdout.write(decoder.decode(Buffer.from(tokenBytes[next] ?? "", "latin1"), { stream: true }));
    positions += inputIds.length;
    if (++tokens === 128) break;
  }
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log();
  const mode = useCache ? "with" : "without";
  console.error(`${tokens} tokens in ${seconds} s ${mode} the KV cache; ${positions} positions computed`);
  process.exitCode = 0;
}

if (process.argv[1]?.endsWith("one-file.ts")) await main(process.argv.slice(2)); // not when a test imports this file
