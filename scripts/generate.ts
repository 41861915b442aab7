import { readFileSync } from "node:fs";
import { sharePrefix, type SharedPrefix } from "../src/generation/shared-prefix.js";
import { InputError, Llama } from "../src/index.js";
import { type CacheOptions, withCache, withCacheKind } from "./cache-options.js";
import { openCacheFile } from "./cache-file.js";
import { integer, main } from "./cli.js";
import { draftSummary, generateWithDraft } from "./draft.js";
import {
  type GenerationOptions,
  generationCommand,
  OWN_SAMPLING,
  PROMPT,
  withDefaultsOf,
} from "./model-options.js";
import { open } from "./open-model.js";
import { tell } from "./tell.js";
import { count, jsonOf } from "./terminal.js";

interface Options extends GenerationOptions, CacheOptions {
  readonly kvCache: boolean;
  readonly json?: boolean;
  readonly system?: string;
  readonly cacheFile?: string;
  readonly draft?: string | true;
  readonly guesses: number;
}

const program = generationCommand("generate", "Continue one or several prompts.")
  .option("--no-kv-cache", "recompute all keys and values in every step")
  .option("--json", "print one JSON document to stdout instead of text")
  .option("--system <file>", "text that precedes every prompt; with --cache paged, computed once for all")
  .option(
    "--cache-file <file>",
    "start from the keys and values saved in this file, and save them at the end",
  )
  .option(
    "--draft [draft]",
    "speculative decoding: lookup, a number of the model's first layers, or a directory; by default the model's own draft",
  )
  .option("--guesses <n>", "with --draft: tokens to guess in each round", integer(), 4);
withCache(program).addHelpText("after", OWN_SAMPLING);

await main<Options>(
  program,
  async ({ prompt = PROMPT, system, cacheFile, draft, json, kvCache: useCache, ...given }, signal) => {
    const options = withCacheKind(given);
    const { dtype, cacheKind } = options;
    if (!useCache && cacheKind.type !== "plain") {
      throw new InputError(`--cache must be plain with --no-kv-cache, got ${cacheKind.type}`);
    }
    if (cacheFile !== undefined && (draft !== undefined || !useCache || cacheKind.type !== "plain")) {
      throw new InputError("--cache-file must be used with the plain cache and without --draft");
    }
    if (draft === undefined && program.getOptionValueSource("guesses") === "cli") {
      throw new InputError("--guesses must be used together with --draft");
    }
    if (draft !== undefined && !useCache)
      throw new InputError("--draft must be used with the KV cache, got --no-kv-cache");
    const prefix = system === undefined ? "" : readSystem(system);
    const prompts = prompt.map((text) => prefix + text);
    const shares = system !== undefined && cacheKind.blockSize !== undefined && prompts.length > 1;
    const eager = {
      "--draft": draft !== undefined,
      "--cache-file": cacheFile !== undefined,
      "--system with --cache paged": shares,
    };
    const eagerOption = Object.entries(eager).find(([, isGiven]) => isGiven)?.[0];
    const work = { tokens: options.maxGenLen, batch: prompts.length, useCache, cacheKind, eagerOption };
    const { backend, model, tokenizer, sampling, execution } = await open(options, work);
    const settings = { ...withDefaultsOf(sampling, program, options), useCache, signal };
    const { name, device, description } = backend;
    const common = { backend: name, device, execution, dtype, useCache };
    if (draft !== undefined) {
      const drafted = await generateWithDraft(model, tokenizer, prompts, draft, settings, !json);
      if (json) process.stdout.write(`${jsonOf({ ...common, draft, ...drafted }, 2)}\n`);
      else console.error(`${draftSummary(drafted)}, on ${description}`);
      return;
    }

    let shared: SharedPrefix | undefined;
    if (shares && !(model instanceof Llama)) {
      throw new InputError(`--execution must be eager with --system and --cache paged, got ${execution}`);
    }
    if (cacheKind.blockSize !== undefined && prompts.length > 1 && model instanceof Llama) {
      const ids = prompts.map((text) => tokenizer.encode(text));
      shared = sharePrefix(model, ids, cacheKind.blockSize, { ...settings, stopIds: tokenizer.stopIds });
    }
    const file =
      cacheFile === undefined
        ? undefined
        : await openCacheFile(cacheFile, model, tokenizer, prompts, settings);
    const restored = file?.restored;
    const cache = shared?.cache ?? file?.cache;
    const indent = json ? undefined : "";
    const { results, seconds, summary } = await tell(
      model,
      tokenizer,
      prompts,
      { ...settings, cache },
      indent,
    );
    const bytes = shared?.bytes();
    shared?.dispose();
    await file?.save(results[0]!);
    if (json) {
      process.stdout.write(`${jsonOf({ ...common, results, seconds }, 2)}\n`);
      return;
    }
    const setUp = { eager: "", graph: ", tracing included", xla: ", tracing and compiling included" };
    const mode = useCache ? "with" : "without";
    const kind = cacheKind.type === "plain" ? "" : ` (${cacheKind.name})`;
    console.error(`${summary}${setUp[execution]}, ${mode} the KV cache${kind}, on ${description}`);
    if (restored !== undefined) console.error(`${count(restored, "position")} restored from ${cacheFile}`);
    if (shared) {
      const longest = Math.max(
        ...results.map(({ promptTokens, tokens }) => promptTokens.length + tokens.length),
      );
      const unshared = cacheKind.bytes(model.config, prompts.length, longest);
      console.error(
        `${count(shared.length, "token")} of all ${prompts.length} prompts computed once and shared: ` +
          `${bytes!.toLocaleString("en-US")} bytes in use, ${unshared.toLocaleString("en-US")} without sharing`,
      );
    }
  },
);

function readSystem(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new InputError(`--system must be a text file, got ${file} (${(error as Error).message})`);
  }
}
