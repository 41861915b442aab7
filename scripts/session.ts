import { existsSync } from "node:fs";
import * as v from "valibot";
import { checkpointHash, restoreCache, saveCache } from "../src/checkpoint/cache-file.js";
import type { ConversationState } from "../src/generation/chat.js";
import { InputError, Llama, type Model } from "../src/index.js";
import type { CacheKind } from "../src/model/generation-cache.js";
import { KVCache } from "../src/model/kv-cache.js";
import { checkReplaceable } from "./write-file.js";

const MESSAGES = v.array(
  v.object({ role: v.picklist(["system", "user", "assistant"]), content: v.string() }),
);

/**
 * Opens the file of a conversation: a saved cache, with the messages as its note.
 *
 * @param system   of the command line, if it is given: it must be the saved conversation's
 * @param capacity of the conversation
 * @returns the conversation if the file exists, its system message, and a function that saves one
 * @throws InputError when the file cannot be written, is damaged or of another checkpoint, or the conversation does not fit
 */
export async function openSession(
  file: string,
  model: Model,
  options: {
    readonly checkpoint: string;
    readonly capacity: number;
    readonly system: string | undefined;
    readonly cacheKind: CacheKind;
  },
) {
  if (!(model instanceof Llama)) throw new InputError("--execution must be eager with --session");
  await checkReplaceable(file);
  const { checkpoint, capacity, system: given, cacheKind } = options;
  const hash = await checkpointHash(checkpoint);
  const save = async ({ messages, ids, cache }: ConversationState): Promise<void> => {
    if (cache instanceof KVCache) await saveCache(file, cache, ids, hash, JSON.stringify(messages));
  };
  if (!existsSync(file)) return { state: undefined, system: undefined, save };
  const { ids, cache, note } = await restoreCache(
    file,
    model.config,
    hash,
    capacity,
    undefined,
    cacheKind.prefillChunk,
  );
  try {
    const messages = messagesOf(note, file);
    const [first] = messages;
    const system = first?.role === "system" ? first.content : undefined;
    if (given !== undefined && given !== system) {
      throw new InputError(`--system must be that of the conversation in ${file}, got another: leave it out`);
    }
    return { state: { messages, ids, cache } satisfies ConversationState, system, save };
  } catch (error) {
    cache.dispose();
    throw error;
  }
}

function messagesOf(note: string, file: string): v.InferOutput<typeof MESSAGES> {
  let value: unknown;
  try {
    value = JSON.parse(note);
  } catch {}
  const { success, output } = v.safeParse(MESSAGES, value);
  if (success) return output;
  throw new InputError(`${file} must hold a conversation, got a cache that \`chat\` did not save`);
}
