import { type Command, Option } from "commander";
import { cacheKind, type CacheSettings, SETTINGS_OF } from "../src/cache/cache-kind.js";
import { type CacheKind, CACHES, PREFILL_CHUNK } from "../src/model/generation-cache.js";
import { InputError } from "../src/index.js";
import { choice, integer } from "./cli.js";

/** The settings of all caches, as options of the commands that generate. */
export const cacheSettings = () => [
  new Option("--prefill-chunk <n>", "prompt tokens that one forward pass computes, at most")
    .argParser(integer())
    .default(PREFILL_CHUNK),
  new Option("--block-size <n>", "paged: positions of a block (default: 16)").argParser(integer(1, 4096)),
  new Option("--window <n>", "sliding: latest positions kept (default: 256)").argParser(integer()),
  new Option("--sinks <n>", "sliding: first positions, never dropped (default: 0)").argParser(
    integer(0, 4096),
  ),
  choice("--bits <n>", "quantized: bits of a number (default: 8)", ["8", "4"]),
  choice("--keys <group>", "quantized: keys that share a scale (default: channel)", ["token", "channel"]),
];

/** Adds --cache and the caches' settings. */
export function withCache(program: Command): Command {
  return [choice("--cache <kind>", "KV cache", CACHES, "plain"), ...cacheSettings()].reduce(
    (sum, option) => sum.addOption(option),
    program,
  );
}

/** Options as commander gives them: numbers that are choices are still strings. */
export type CacheOptions = Omit<CacheSettings, "bits"> & { readonly bits?: string };

/** The settings of caches as commander gives them. */
type Settings = { readonly [Name in Exclude<keyof CacheOptions, "cache">]?: CacheOptions[Name] | undefined };

/**
 * Separates the options of the cache from a command's others.
 *
 * @returns the others, with `cacheKind` instead
 * @throws InputError for a setting of another cache
 */
export function withCacheKind<Options extends CacheOptions>(
  options: Options,
): Omit<Options, keyof CacheOptions> & { cacheKind: CacheKind } {
  const { cache, prefillChunk, blockSize, window, sinks, bits, keys, ...others } = options;
  const settings = { prefillChunk, blockSize, window, sinks, bits, keys };
  return { ...others, cacheKind: kindsOf(settings, [cache])[0]! };
}

/** The kinds of several caches. @throws InputError for a setting that none of them has */
export function kindsOf(
  { prefillChunk, blockSize, window, sinks, bits, keys }: Settings,
  caches: readonly CacheSettings["cache"][],
): CacheKind[] {
  checkSettings({ blockSize, window, sinks, bits, keys }, caches);
  const own = {
    blockSize,
    window,
    sinks,
    bits: bits === undefined ? undefined : (Number(bits) as 8 | 4),
    keys,
  };
  return caches.map((cache) => cacheKind({ cache, prefillChunk, ...own }));
}

/** @throws InputError for a setting that none of these caches has */
function checkSettings(given: object, caches: readonly CacheSettings["cache"][]): void {
  for (const [name, value] of Object.entries(given)) {
    const owner = CACHES.find((one) => (SETTINGS_OF[one] as readonly string[]).includes(name));
    if (value === undefined || !owner || caches.includes(owner)) continue;
    const option = `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    throw new InputError(`${option} must be used with --cache ${owner}, got --cache ${caches.join(",")}`);
  }
}
