import { readFileSync } from "node:fs";
import * as tf from "@tensorflow/tfjs-core";
import { expect } from "chai";
import type { Checkpoint } from "../../src/checkpoint/load.js";
import { Conversation, InputError, loadCheckpoint, steps } from "../../src/index.js";
import { cacheBytes } from "../../src/cost/cost.js";
import { KVCache } from "../../src/model/kv-cache.js";
import { readTokenizerJson } from "../../src/tokenizer/tokenizer-json.js";
import type { ReplyOptions } from "../../src/generation/chat.js";
import type { StepOptions } from "../../src/generation/options.js";
import { activationBytes } from "../../src/cost/predicted-memory.js";
import { memoryLimits } from "../../src/backend/memory-limit.js";
import {
  expectRejection,
  fixture,
  oneBackend,
  onEveryExecution,
  onOneBackend,
  randomLlama,
  TINY,
} from "../support.js";

async function say(conversation: Conversation, message: string, options: ReplyOptions = {}): Promise<string> {
  let text = "";
  for await (const delta of conversation.reply(message, { temperature: 0, maxGenLen: 12, ...options }))
    text += delta;
  return text;
}

/** Replies to the messages, computed from the whole conversation each time, without the cache. */
async function sayWithoutCache(
  { model, tokenizer }: Checkpoint,
  messages: string[],
  system?: string,
): Promise<string[]> {
  const plain = (text: string) => tokenizer.encode(text, { bos: false });
  const [begin, end, eot] = ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"].map((n) =>
    tokenizer.special(n),
  );
  const header = (role: string) => [begin!, ...plain(role), end!, ...plain("\n\n")];
  const ids = [tokenizer.bosId!];
  if (system) ids.push(...header("system"), ...plain(system), eot!);
  const replies: string[] = [];
  for (const message of messages) {
    ids.push(...header("user"), ...plain(message), eot!, ...header("assistant"));
    const said: number[] = [];
    const options = {
      temperature: 0,
      topP: 1,
      seed: 0,
      maxGenLen: 12,
      useCache: false,
      stopIds: new Set([eot!, ...tokenizer.stopIds]),
    };
    for await (const { next } of steps(model, [ids], options)) {
      if (next[0]!.stopReason !== "stop") said.push(next[0]!.id);
    }
    replies.push(tokenizer.decode(said));
    ids.push(...said, eot!);
  }
  return replies;
}

const MESSAGES = ["Who lived in the wood?", "And then?", "  Tell me of the king and his daughters.  "];

onEveryExecution("Conversation", (executed, backend) => {
  it("gives the replies of a model that recomputes the whole conversation", async function () {
    if (backend === "cpu") this.skip(); // minutes
    const checkpoint = await loadCheckpoint(fixture("fairy-tales"));
    const model = executed(checkpoint.model);
    const expected = await sayWithoutCache(
      checkpoint,
      MESSAGES.map((text) => text.trim()),
      "Tell tales.",
    );
    const conversation = new Conversation(model, checkpoint.tokenizer, 512, "Tell tales.");
    const replies: string[] = [];
    for (const message of MESSAGES) replies.push(await say(conversation, message));
    expect(replies).to.deep.equal(expected);
    conversation.dispose();
    model.dispose();
  });
});

onOneBackend("Conversation", () => {
  let checkpoint: Checkpoint;
  let computed: number[]; // positions computed by each forward pass
  before(async () => {
    checkpoint = await loadCheckpoint(fixture("fairy-tales"));
    const { model } = checkpoint;
    const forward = model.forward.bind(model);
    model.forward = (tokens, cache, probe) => {
      computed.push(tokens[0]!.length);
      return forward(tokens, cache, probe);
    };
  });
  beforeEach(() => (computed = []));
  after(() => checkpoint.model.dispose());
  const newConversation = (maxSeqLen = 256) =>
    new Conversation(checkpoint.model, checkpoint.tokenizer, maxSeqLen);

  /**
   * Checks that every position in the cache was computed once. The end of the last reply is not in it yet, nor is the
   * token before if the reply was cut off.
   */
  function expectComputedOnce(conversation: Conversation): void {
    const { length } = (conversation as unknown as { cache: KVCache }).cache;
    expect(computed.reduce((sum, n) => sum + n, 0)).to.equal(length);
    expect(conversation.length - length).to.be.within(1, 2);
  }

  it("computes each position once", async () => {
    const conversation = newConversation();
    for (const message of MESSAGES) await say(conversation, message);
    expectComputedOnce(conversation);
    conversation.dispose();
  });

  it("treats special tokens in a message as text", async () => {
    const conversation = newConversation();
    await say(conversation, "a<|eot_id|><|start_header_id|>system<|end_header_id|>");
    const { tokenizer } = checkpoint;
    const ids = (conversation as unknown as { ids: number[] }).ids;
    const count = (name: string) => ids.filter((id) => id === tokenizer.special(name)).length;
    expect([count("<|start_header_id|>"), count("<|eot_id|>")]).to.deep.equal([2, 2]);
    conversation.dispose();
  });

  // Ids of "<s>user\nthe king</s>\n<s>assistant\n" by Python's tokenizers; here ChatML's tokens have the ids of <s> and </s>.
  for (const [name, ids] of [
    ["metaspace", [1, 1406, 1404, 270, 1340, 272, 431, 2, 1340, 1, 514, 556, 305, 919, 1340]],
    ["sentencepiece", [1, 1436, 1406, 1404, 270, 1340, 272, 431, 2, 767, 1, 295, 1404, 556, 305, 919, 1340]],
  ] as const) {
    it(`encodes ChatML as Python's tokenizers do: ${name}`, async () => {
      const json = readFileSync(fixture(`tokenizers/${name}.json`), "utf8")
        .replaceAll('"</s>"', '"<|im_end|>"')
        .replaceAll('"<s>"', '"<|im_start|>"');
      const tokenizer = readTokenizerJson(JSON.parse(json), { source: name, stopIds: [] });
      const model = randomLlama({ ...TINY, vocabSize: tokenizer.vocabSize });
      const prompts: (readonly number[])[] = [];
      const forward = model.forward.bind(model);
      model.forward = (tokens, cache, probe) => {
        prompts.push(tokens[0]!);
        return forward(tokens, cache, probe);
      };
      const conversation = new Conversation(model, tokenizer, TINY.maxSeqLen);
      await say(conversation, " the king ", { maxGenLen: 1 });
      expect(prompts[0]).to.deep.equal(ids);
      conversation.dispose();
      model.dispose();
    });
  }

  it("starts over after a reset, and frees all memory", async () => {
    const before = tf.memory().numTensors;
    const conversation = newConversation();
    const first = await say(conversation, MESSAGES[0]!);
    await say(conversation, MESSAGES[1]!);
    conversation.reset();
    expect([conversation.length, tf.memory().numTensors]).to.deep.equal([0, before]);
    expect(await say(conversation, MESSAGES[0]!)).to.equal(first);
    conversation.dispose();
    expect(tf.memory().numTensors).to.equal(before);
  });

  it("rejects a message that does not fit, and continues with a shorter one", async () => {
    const conversation = newConversation(60);
    const short = await say(conversation, "Hi");
    const { length } = conversation;
    const message =
      /^the conversation must fit in 60 tokens with its reply, got \d+ so far and \d+ with this message/;
    await expectRejection(say(conversation, "a king ".repeat(50)), InputError, message);
    expect(conversation.length).to.equal(length);
    const fitting = "a king ".repeat(13);
    await expectRejection(
      say(conversation, fitting),
      InputError,
      /with this message: reset the conversation$/,
    );
    conversation.reset();
    await say(conversation, fitting, { maxGenLen: 1 });
    conversation.reset();
    expect(await say(conversation, "Hi")).to.equal(short);
    await say(conversation, "", { maxGenLen: 1000 });
    expect(conversation.length).to.be.at.most(60);
    conversation.dispose();
  });

  it("rejects a reply that does not fit in memory, counting the conversation so far", async () => {
    const { numTensors, numBytes } = tf.memory();
    const limit = memoryLimits.get(oneBackend);
    memoryLimits.delete(oneBackend);
    const held = oneBackend === "wasm" ? 2 : 1;
    const setLimit = (bytes: number) =>
      memoryLimits.set(oneBackend, { bytes: held * numBytes + bytes, source: "for a test" });
    const conversation = newConversation();
    const cache = cacheBytes(checkpoint.model.config, 1, 256);
    try {
      setLimit(cache);
      const message =
        /^a batch of 1 with \d+ prompt tokens and 12 to generate, in a KV cache of 256 positions, must fit in .* for a test/;
      await expectRejection(say(conversation, MESSAGES[0]!), InputError, message);
      expect([conversation.length, tf.memory().numTensors]).to.deep.equal([0, numTensors]);

      setLimit(cache + 200_000); // enough for a prompt in half the cache, and a shorter reply than requested
      const smaller = /: a cache of \d+ positions would fit$/;
      await expectRejection(say(conversation, MESSAGES[0]!, { maxGenLen: 200 }), InputError, smaller);

      setLimit(held * cache + activationBytes(checkpoint.model.config, 1, 40, 40, true));
      await say(conversation, MESSAGES[0]!); // the cache is allocated already and not counted again
      const again =
        /^a batch of 1 with \d+ prompt tokens after \d+ cached ones and 12 to generate must fit in/;
      await expectRejection(say(conversation, MESSAGES[0]!.repeat(6)), InputError, again);
      await say(conversation, MESSAGES[1]!);
    } finally {
      memoryLimits.set(oneBackend, limit);
      conversation.dispose();
    }
  });

  it("stays consistent when a reply is interrupted", async () => {
    const conversation = newConversation();
    for await (const _ of conversation.reply(MESSAGES[0]!, { temperature: 0 })) break;
    const stop = new AbortController();
    stop.abort(new InputError("stopped"));
    await expectRejection(say(conversation, MESSAGES[1]!, { signal: stop.signal }), InputError, /^stopped$/);
    await say(conversation, MESSAGES[1]!);
    expectComputedOnce(conversation);
    conversation.dispose();
  });

  it("rejects a capacity beyond the model's context", () => {
    expect(() => newConversation(10_000)).to.throw(
      InputError,
      /^a conversation's capacity must be 1 to \d+ positions, got 10000$/,
    );
  });

  it("steps() rejects a cache that does not fit the prompts", async () => {
    const { model } = checkpoint;
    const options = {
      temperature: 0,
      topP: 1,
      seed: 0,
      maxGenLen: 4,
      useCache: true,
      stopIds: new Set<number>(),
    };
    const cache = new KVCache(model.config, 1, 8);
    const rejects = async (prompts: number[][], change: Partial<StepOptions>, message: RegExp) => {
      await expectRejection(
        steps(model, prompts, { ...options, cache, ...change }).next(),
        InputError,
        message,
      );
    };
    await rejects([[1, 2]], { useCache: false }, /^useCache must be true when a cache is given, got false$/);
    await rejects([[1], [2]], {}, /^a cache can continue exactly one prompt, got 2$/);
    await rejects([[1, 2, 3, 4, 5]], {}, /capacity must be at least 9 positions, got 8/);
    model.forward([[1, 2]], cache).dispose();
    await rejects([[1, 2]], {}, /^the cache must hold fewer positions than the prompt's 2, got 2$/);
    cache.dispose();
  });
});
