import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor3D } from "@tensorflow/tfjs-core";
import type { ModelConfig } from "../model/config.js";
import { KVCache } from "../model/kv-cache.js";
import { InputError } from "../util/errors.js";
import { diskFile } from "./directory.js";
import { SafetensorsFile } from "./safetensors.js";

/**
 * A saved KV cache: a safetensors file with the token ids, the keys and values of each layer, [K, S, D], and the hash of
 * the checkpoint that computed them. Reading a prefix's keys and values takes milliseconds, computing them seconds. The
 * version is part of the tensors' names.
 */
const VERSION = "kv-cache.v1";

/** A cache of one sequence, and the tokens whose keys and values it holds. */
export interface SavedCache {
  readonly ids: readonly number[];
  readonly cache: KVCache;
  /** Text that was saved with it, or "". */
  readonly note: string;
}

/** SHA-256 of a checkpoint's config.json and weights: a cache is only right for the model that computed it. */
export async function checkpointHash(directory: string): Promise<Uint8Array> {
  const all = await readdir(directory);
  const names = all.filter((name) => name === "config.json" || name.endsWith(".safetensors")).toSorted();
  const hash = createHash("sha256");
  for (const name of names) {
    for await (const bytes of createReadStream(join(directory, name))) hash.update(bytes as Uint8Array);
  }
  return hash.digest();
}

/**
 * Writes a cache to a file, as a whole or not at all.
 *
 * @param cache of one sequence
 * @param ids   the tokens of its positions; further ones are ignored
 * @param note  any text to be kept with it
 * @throws InputError when the file cannot be written
 */
export async function saveCache(
  path: string,
  cache: KVCache,
  ids: readonly number[],
  checkpoint: Uint8Array,
  note = "",
): Promise<void> {
  const { length } = cache;
  const tensors = new Map<string, { readonly shape: readonly number[]; readonly values: Float32Array }>();
  const add = (name: string, shape: readonly number[], values: Float32Array) =>
    tensors.set(`${VERSION}.${name}`, { shape, values });
  add("checkpoint", [checkpoint.length], Float32Array.from(checkpoint));
  add("ids", [length], Float32Array.from(ids.slice(0, length))); // exact up to 2^24
  const noteBytes = new TextEncoder().encode(note);
  add("note", [noteBytes.length], Float32Array.from(noteBytes));
  for (const [i, layer] of cache.layers.entries()) {
    const stored = tf.tidy(() =>
      layer.stored().map((x) => ({ shape: x.shape, values: x.dataSync<"float32">().slice() })),
    );
    for (const [j, { shape, values }] of stored.entries())
      add(`${["keys", "values"][j]}.${i}`, shape, values);
  }

  let end = 0;
  const header = Object.fromEntries(
    [...tensors].map(([name, { shape, values }]) => {
      const begin = end;
      end += values.byteLength;
      return [name, { dtype: "F32", shape, data_offsets: [begin, end] }];
    }),
  );
  const json = new TextEncoder().encode(JSON.stringify(header));
  const size = new Uint8Array(8);
  new DataView(size.buffer).setBigUint64(0, BigInt(json.length), true);
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    const handle = await open(temporary, "w");
    try {
      const parts = Array.from(
        tensors.values(),
        ({ values }) => new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
      );
      for (const part of [size, json, ...parts]) await handle.writeFile(part); // unlike write, always all of it
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw new InputError(`${path} cannot be written: ${(error as Error).message}`);
  }
}

/**
 * Reads a saved cache.
 *
 * @param capacity of the new cache; positions beyond it, and tokens beyond `prefix`, are not restored
 * @param prefix   tokens of a prompt: the cache is restored up to the first that differs, and one is left to compute;
 *                 undefined restores all
 * @throws InputError when the file is damaged, or was saved with another checkpoint or a version of this program that
 *         wrote other files
 */
export async function restoreCache(
  path: string,
  config: ModelConfig,
  checkpoint: Uint8Array,
  capacity: number,
  prefix: readonly number[] | undefined,
  prefillChunk?: number,
): Promise<SavedCache> {
  const { nKvHeads: K, headDim: D, vocabSize } = config;
  const file = await SafetensorsFile.open(diskFile(path));
  let cache: KVCache | undefined;
  try {
    if (!file.tensors.has(`${VERSION}.checkpoint`)) {
      throw new InputError(`${path} must be a KV cache in the format ${VERSION}, got another file`);
    }
    const read = async (name: string, shape: readonly number[]): Promise<Float32Array> => {
      const found = file.entry(`${VERSION}.${name}`).shape;
      if (`${found}` !== `${shape}`) {
        throw new InputError(`${path}: ${name} must have shape [${shape}], got [${found}]`);
      }
      const values = await file.read(`${VERSION}.${name}`);
      if (!values.every(Number.isFinite))
        throw new InputError(`${path}: ${name} must be finite, got NaN or infinity`);
      return values;
    };
    const lengthOf = (name: string) => file.entry(`${VERSION}.${name}`).shape[0] ?? 0;
    const hash = await read("checkpoint", [checkpoint.length]);
    if (hash.some((byte, i) => byte !== checkpoint[i])) {
      throw new InputError(`${path} must be the cache of this checkpoint, got another's: delete it`);
    }
    const S = lengthOf("ids");
    const ids = [...(await read("ids", [S]))];
    if (ids.some((id) => !Number.isInteger(id) || id < 0 || id >= vocabSize)) {
      throw new InputError(`${path}: ids must be 0 to ${vocabSize - 1}`);
    }
    const note = textOf(await read("note", [lengthOf("note")]), path);
    const wanted = prefix?.slice(0, -1) ?? ids;
    const different = wanted.findIndex((id, i) => id !== ids[i]);
    const length = Math.min(capacity, different < 0 ? wanted.length : different);

    cache = new KVCache(config, 1, capacity, prefillChunk);
    for (const [i, layer] of cache.layers.entries()) {
      const [keys, values] = [await read(`keys.${i}`, [K, S, D]), await read(`values.${i}`, [K, S, D])];
      if (length === 0) continue;
      tf.tidy(() => {
        const restored = (x: Float32Array): Tensor3D =>
          tf.slice(tf.tensor3d(x, [K, S, D]), [0, 0, 0], [K, length, D]);
        layer.append(restored(keys), restored(values));
      });
    }
    return { ids: ids.slice(0, length), cache, note };
  } catch (error) {
    cache?.dispose();
    throw error;
  } finally {
    await file.close();
  }
}

/** The text whose UTF-8 bytes were saved as numbers. */
function textOf(bytes: Float32Array, path: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(bytes));
  } catch {
    throw new InputError(`${path}: note must be UTF-8, got other bytes`);
  }
}
