import * as tf from "@tensorflow/tfjs-core";
import { expect } from "chai";
import type { Checkpoint } from "../../src/checkpoint/read-checkpoint.js";
import { Conversation, InputError, loadChatTemplate, loadCheckpoint, steps } from "../../src/index.js";
import { cacheBytes } from "../../src/cost/cost.js";
import { KVCache } from "../../src/model/kv-cache.js";
import { ChatTemplate } from "../../src/tokenizer/chat-template.js";
import type { ReplyEnd, ReplyOptions } from "../../src/generation/chat.js";
import type { StepOptions } from "../../src/generation/options.js";
import { activationBytes } from "../../src/cost/predicted-memory.js";
import { memoryLimits } from "../../src/backend/memory-limit.js";
import { expectRejection, fixture, greedy, oneBackend, onEveryExecution, onOneBackend } from "../support.js";

async function say(conversation: Conversation, message: string, options: ReplyOptions = {}): Promise<string> {
  let text = "";
  for await (const delta of conversation.reply(message, { temperature: 0, maxGenLen: 12, ...options }))
    text += delta;
  return text;
}

/** Says a message and returns the end of the reply. */
async function endOf(deltas: AsyncGenerator<string, ReplyEnd, void>): Promise<ReplyEnd> {
  for (;;) {
    const { done, value } = await deltas.next();
    if (done) return value;
  }
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
    const reply = tokenizer.decode(said);
    replies.push(reply);
    ids.push(...plain(reply.trim()), eot!);
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
    const template = await loadChatTemplate(fixture("fairy-tales"));
    const conversation = new Conversation(model, checkpoint.tokenizer, template, 512, "Tell tales.");
    const replies: string[] = [];
    for (const message of MESSAGES) replies.push(await say(conversation, message));
    expect(replies).to.deep.equal(expected);
    conversation.dispose();
    model.dispose();
  });
});

onOneBackend("Conversation", () => {
  let checkpoint: Checkpoint;
  let template: ChatTemplate;
  let computed: number[]; // positions computed by each forward pass
  before(async () => {
    checkpoint = await loadCheckpoint(fixture("fairy-tales"));
    template = await loadChatTemplate(fixture("fairy-tales"));
    const { model } = checkpoint;
    const forward = model.forward.bind(model);
    model.forward = (tokens, cache, probe) => {
      computed.push(tokens[0]!.length);
      return forward(tokens, cache, probe);
    };
  });
  beforeEach(() => (computed = []));
  after(() => checkpoint.model.dispose());
  const newConversation = (capacity = 256, written = template) =>
    new Conversation(checkpoint.model, checkpoint.tokenizer, written, capacity);
  const sum = (numbers: readonly number[]) => numbers.reduce((total, n) => total + n, 0);

  it("computes only what a reply's prompt has after the tokens in the cache, and says so", async () => {
    const conversation = newConversation();
    let positions = 0; // that the cache holds
    for (const message of MESSAGES) {
      computed = [];
      const end = await endOf(conversation.reply(message, { temperature: 0, maxGenLen: 12 }));
      expect(end.reused).to.equal(positions);
      expect(computed[0]).to.equal(end.promptTokens - end.reused);
      positions += sum(computed);
    }
    expect(positions).to.be.above(60);
    conversation.dispose();
  });

  it("recomputes from the first token that the template changes", async () => {
    const numbered = new ChatTemplate(
      "{{ bos_token }}{{ messages | length }} {% for message in messages %}" +
        "{{ '<|start_header_id|>' + message['content'] + '<|eot_id|>' }}{% endfor %}",
      { bos_token: "<|begin_of_text|>" },
      "a test",
    );
    const conversation = newConversation(256, numbered);
    await say(conversation, "a king");
    const reused: number[] = [];
    for (const message of ["a wolf", "a king"]) {
      const end = await endOf(conversation.reply(message, { temperature: 0, maxGenLen: 4 }));
      reused.push(end.reused);
      expect(computed.at(-end.replyTokens - 1) ?? 0).to.be.at.most(end.promptTokens - 1);
    }
    expect(reused).to.deep.equal([1, 1]); // the begin token
    conversation.reset();
    const fresh = newConversation(256, numbered);
    const again = [await say(conversation, "a wolf"), await say(conversation, "a king")];
    expect([await say(fresh, "a wolf"), await say(fresh, "a king")]).to.deep.equal(again);
    conversation.dispose();
    fresh.dispose();
  });

  it("ends a reply at the token that the template puts after one, which the stop tokens may lack", async () => {
    const text = "{% for message in messages %}{{ message['content'] + '<|python_tag|>' }}{% endfor %}";
    const conversation = newConversation(256, new ChatTemplate(text, {}, "a test"));
    const id = checkpoint.tokenizer.special("<|python_tag|>");
    const end = await endOf(conversation.reply("a king", { sample: () => id }));
    expect([end.reason, end.replyTokens]).to.deep.equal(["stop", 0]);
    conversation.dispose();
  });

  it("rejects a second reply while one is generated, and continues", async () => {
    const before = tf.memory().numTensors;
    const conversation = newConversation();
    const alone = newConversation();
    const [first, second] = await Promise.allSettled([
      say(conversation, MESSAGES[0]!),
      say(conversation, MESSAGES[1]!),
    ]);
    expect(first).to.deep.equal({ status: "fulfilled", value: await say(alone, MESSAGES[0]!) });
    const message = /^a conversation must generate one reply at a time: read the other one to its end/;
    await expectRejection(
      Promise.reject((second as PromiseRejectedResult).reason as Error),
      InputError,
      message,
    );
    expect(await say(conversation, MESSAGES[1]!)).to.equal(await say(alone, MESSAGES[1]!));
    conversation.dispose();
    alone.dispose();
    expect(tf.memory().numTensors).to.equal(before);
  });

  for (const ending of ["reset", "dispose"] as const) {
    for (const when of ["between two steps", "in the middle of a step", "before the first token"] as const) {
      it(`ends a reply on ${ending}() ${when}, and leaves nothing behind`, async () => {
        const before = tf.memory().numTensors;
        const conversation = newConversation();
        const reply = conversation.reply(MESSAGES[0]!, { temperature: 0, maxGenLen: 100 });
        if (when !== "before the first token") for (let n = 0; n < 3; n++) await reply.next();
        const next = when === "between two steps" ? undefined : reply.next();
        await Promise.resolve();
        conversation[ending]();
        await next;
        expect((await endOf(reply))?.reason ?? "reset").to.equal("reset");
        if (ending === "reset") {
          const again = await say(conversation, MESSAGES[1]!);
          const fresh = newConversation();
          expect(again).to.equal(await say(fresh, MESSAGES[1]!));
          fresh.dispose();
        } else {
          await expectRejection(
            say(conversation, "Hi"),
            InputError,
            /^the conversation must not be disposed/,
          );
        }
        conversation.dispose();
        expect(tf.memory().numTensors).to.equal(before);
      });
    }
  }

  it("starts over after a reset without computing the system message again, and frees all memory", async () => {
    const before = tf.memory().numTensors;
    const { model, tokenizer } = checkpoint;
    const conversation = new Conversation(model, tokenizer, template, 256, "Tell tales of kings.");
    const first = await say(conversation, MESSAGES[0]!);
    await say(conversation, MESSAGES[1]!);
    conversation.reset();
    const other = await endOf(conversation.reply(MESSAGES[2]!, { temperature: 0, maxGenLen: 1 }));
    expect(other.reused).to.be.above(tokenizer.encode("Tell tales of kings.").length);
    conversation.reset();
    expect(await say(conversation, MESSAGES[0]!)).to.equal(first);
    conversation.dispose();
    expect(tf.memory().numTensors).to.equal(before);
  });

  it("regenerates a reply from the cached prompt, and continues after the new one", async () => {
    const conversation = newConversation();
    await expectRejection(
      conversation.regenerate().next(),
      InputError,
      /must have a reply to regenerate, got none$/,
    );
    await say(conversation, MESSAGES[0]!);
    const old = await say(conversation, MESSAGES[1]!);
    computed = [];
    const sampling = { temperature: 2, topP: 1, seed: 1, maxGenLen: 12 };
    const end = await endOf(conversation.regenerate(sampling));
    expect([end.reused, computed[0]]).to.deep.equal([end.promptTokens - 1, 1]);
    const [said, replaced] = conversation.state.messages.slice(-2).map(({ content }) => content);
    expect([said, conversation.state.messages.length]).to.deep.equal([MESSAGES[1], 4]);
    expect(replaced).not.to.equal(old);
    await endOf(conversation.regenerate({ temperature: 0, maxGenLen: 12 }));
    expect(conversation.state.messages.at(-1)!.content).to.equal(old);
    conversation.dispose();
  });

  it("keeps the old reply when a new one is interrupted before its first token", async () => {
    const conversation = newConversation();
    await say(conversation, MESSAGES[0]!);
    const { messages } = conversation.state;
    const signal = AbortSignal.abort(new InputError("stopped"));
    await expectRejection(conversation.regenerate({ signal }).next(), InputError, /^stopped$/);
    expect(conversation.state.messages).to.deep.equal(messages);
    conversation.dispose();
  });

  it("continues the state of another conversation as if it were its own", async () => {
    const before = tf.memory().numTensors;
    const [one, other] = [newConversation(), newConversation()];
    await say(one, MESSAGES[0]!);
    const { state } = one;
    other.resume({ ...state, cache: undefined, ids: [] }); // without its cache, all is computed again
    const [reply, expected] = [await say(one, MESSAGES[1]!), await say(other, MESSAGES[1]!)];
    expect(reply).to.equal(expected);
    const cache = new KVCache(checkpoint.model.config, 1, 8);
    expect(() => other.resume({ ...state, cache })).to.throw(
      InputError,
      /capacity must be 256 positions, got 8$/,
    );
    cache.dispose();
    one.dispose();
    other.dispose();
    expect(tf.memory().numTensors).to.equal(before);
  });

  it("rejects a message that does not fit, and continues with a shorter one", async () => {
    const conversation = newConversation(60);
    const short = await say(conversation, "Hi");
    const message =
      /^the conversation must fit in 60 tokens with its reply, got \d+ with this message: send a shorter message$/;
    await expectRejection(say(conversation, "a king ".repeat(50)), InputError, message);
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
    const end = await endOf(conversation.reply("", { maxGenLen: 1000 }));
    expect(end.promptTokens + end.replyTokens).to.be.at.most(60);
    conversation.dispose();
  });

  it("rejects a reply that does not fit in memory, counting the conversation so far", async () => {
    const { numTensors, numBytes } = tf.memory();
    const limit = memoryLimits.get(oneBackend);
    memoryLimits.delete(oneBackend);
    const setLimit = (bytes: number) =>
      memoryLimits.set(oneBackend, { bytes: numBytes + bytes, source: "for a test" });
    const conversation = newConversation();
    const cache = cacheBytes(checkpoint.model.config, 1, 256);
    try {
      setLimit(cache);
      const message =
        /^a batch of 1 with \d+ prompt tokens and 12 to generate, in a KV cache of 256 positions, must fit in .* for a test/;
      await expectRejection(say(conversation, MESSAGES[0]!), InputError, message);
      expect(tf.memory().numTensors).to.equal(numTensors);

      setLimit(cache + 200_000); // enough for a prompt in half the cache, and a shorter reply than requested
      const smaller = /: a cache of \d+ positions would fit$/;
      await expectRejection(say(conversation, MESSAGES[0]!, { maxGenLen: 200 }), InputError, smaller);

      setLimit(cache + activationBytes(checkpoint.model.config, 1, 40, 40, true));
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

  it("keeps what was said when a reply is interrupted, and drops a message without a reply", async () => {
    const conversation = newConversation();
    for await (const _ of conversation.reply(MESSAGES[0]!, { temperature: 0 })) break;
    const stop = new AbortController();
    stop.abort(new InputError("stopped"));
    await expectRejection(say(conversation, MESSAGES[1]!, { signal: stop.signal }), InputError, /^stopped$/);
    const positions = sum(computed);
    const end = await endOf(conversation.reply(MESSAGES[2]!, { temperature: 0, maxGenLen: 4 }));
    expect([end.reused, end.promptTokens - end.reused]).to.deep.equal([positions, computed.at(-4)]);
    conversation.dispose();
  });

  it("rejects a capacity beyond the model's context", () => {
    expect(() => newConversation(10_000)).to.throw(
      InputError,
      /^a conversation's capacity must be 1 to \d+ positions, got 10000$/,
    );
  });

  it("steps() rejects a cache that another generation uses at the same time", async () => {
    const { model } = checkpoint;
    const cache = new KVCache(model.config, 1, 32);
    const first = steps(model, [[1, 2, 3]], { ...greedy(8), cache });
    const second = steps(model, [[1, 2, 3, 4, 5]], { ...greedy(8), cache });
    await first.next();
    await second.next();
    const message = /^a cache must be used by one generation at a time, got 5 positions instead of 3$/;
    await expectRejection(first.next(), InputError, message);
    cache.dispose();
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
    await rejects([[1], [2]], {}, /^the cache's batch size must be 2 like the prompts', got 1$/);
    await rejects([[1, 2, 3, 4, 5]], {}, /capacity must be at least 9 positions, got 8/);
    model.forward([[1, 2]], cache).dispose();
    await rejects([[1, 2]], {}, /^the cache must hold fewer positions than the prompt's 2, got 2$/);
    cache.dispose();
  });
});
