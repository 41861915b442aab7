import { fstatSync } from "node:fs";
import pc from "picocolors";
import { Conversation, InputError, loadChatTemplate } from "../src/index.js";
import type { ReplyOptions } from "../src/generation/chat.js";
import { loadConfig } from "../src/checkpoint/load.js";
import { readInputs } from "./chat-input.js";
import { errorLine, main, integer } from "./cli.js";
import { endingOnFirstInterrupt } from "./interrupt.js";
import { type CacheOptions, withCache, withCacheKind } from "./cache-options.js";
import {
  BUNDLED,
  command,
  type GenerationOptions,
  OWN_SAMPLING,
  withDefaultsOf,
  withSampling,
} from "./model-options.js";
import { open } from "./open-model.js";
import { openSession } from "./session.js";
import { count } from "./terminal.js";
import { WrappedText } from "./wrapped-text.js";
import { fileName } from "./write-file.js";

interface Options extends GenerationOptions, CacheOptions {
  readonly system?: string;
  readonly session?: string;
  readonly context: number;
}

const program = command("chat", "Chat with an instruct model; its KV cache is kept between messages.")
  .option("--system <text>", "system message")
  .option("--context <n>", "maximum tokens of the conversation", integer(), 4096)
  .option("--max-gen-len <n>", "maximum tokens of a reply", integer(), 512)
  .option(
    "--session <file>",
    "continue the conversation in this file, and save it there at the end",
    fileName,
  )
  .addHelpText(
    "after",
    `
/reset starts over, /regen replaces the last reply, /bye quits.
Ctrl-C ends the reply, or else the chat.
Lines between two lines of """ are one message, and so are pasted lines.
A message that begins with / is typed with //.
${OWN_SAMPLING}`,
  );
withCache(withSampling(program, { temperature: 0.6, topP: 0.9, seed: 0 }));

await main<Options>(program, async ({ system, context, session: file, ...given }, signal) => {
  const options = withCacheKind(given);
  if (file !== undefined && options.cacheKind.type !== "plain") {
    throw new InputError(`--cache must be plain with --session, got ${options.cacheKind.type}`);
  }
  if (fstatSync(0).isDirectory())
    throw new InputError("the input must be text or a terminal, got a directory");
  const { maxSeqLen } = await loadConfig(options.checkpoint);
  if (context > maxSeqLen && program.getOptionValueSource("context") !== "default") {
    throw new InputError(`--context must be at most the model's ${maxSeqLen}, got ${context}`);
  }
  const template = await loadChatTemplate(options.checkpoint);
  const eagerOption = file === undefined ? undefined : "--session";
  const work = { tokens: options.maxGenLen, batch: 1, cacheKind: options.cacheKind, eagerOption };
  const { backend, model, tokenizer, sampling } = await open(options, work);
  const generation = withDefaultsOf(sampling, program, options);
  const capacity = Math.min(context, maxSeqLen);
  const session =
    file === undefined ? undefined : await openSession(file, model, { ...options, capacity, system });
  const conversation = new Conversation(model, tokenizer, template, capacity, session?.system ?? system);
  if (session?.state) conversation.resume(session.state);
  console.error(pc.dim(`${backend.description}; /reset starts over, /regen replaces a reply, /bye quits`));
  if (session?.state) {
    const { messages, ids } = session.state;
    const restored = `${count(messages.length, "message")} and ${count(ids.length, "position")}`;
    console.error(pc.dim(`${restored} restored from ${file}`));
  }

  if (options.checkpoint === BUNDLED) {
    console.error(
      pc.dim("the bundled model only tells fairy tales; use --checkpoint DIR for an instruct model"),
    );
  }

  // Another seed for each, or sampling would repeat the reply; a restored one may be of any seed before.
  let regenerated = session?.state ? Date.now() : 0;
  try {
    for await (const input of readInputs(signal)) {
      if ("message" in input) {
        regenerated = 0;
        await show((all) => conversation.reply(input.message, all));
      } else if (input.command === "/bye") break;
      else if (input.command === "/regen") {
        regenerated++;
        if (generation.temperature === 0) console.error(pc.dim("at temperature 0 the reply is the same"));
        await show((all) => conversation.regenerate(all));
      } else if (input.command === "/reset") {
        conversation.reset();
        console.error(pc.dim("conversation reset"));
      } else {
        const sentence = `unknown command "${input.command}": use /reset, /regen or /bye, or // for a message that begins with /`;
        console.error(errorLine(new InputError(sentence)));
      }
    }
  } finally {
    try {
      await session?.save(conversation.state);
    } finally {
      conversation.dispose();
    }
  }
  signal.throwIfAborted();

  /** Prints a reply as it is generated. */
  function show(reply: (options: ReplyOptions) => ReturnType<Conversation["reply"]>): Promise<void> {
    const seed = (generation.seed + regenerated) % Number.MAX_SAFE_INTEGER;
    return endingOnFirstInterrupt((interrupt) =>
      print(reply({ ...generation, seed, signal: interrupt }), interrupt),
    );
  }

  async function print(deltas: ReturnType<Conversation["reply"]>, interrupt: AbortSignal): Promise<void> {
    const text = new WrappedText("");
    const started = performance.now();
    try {
      let next = await deltas.next();
      for (; !next.done; next = await deltas.next()) text.write(next.value);
      text.end();
      const { reason, promptTokens, reused, replyTokens } = next.value;
      const seconds = ((performance.now() - started) / 1000).toFixed(1);
      const cut = reason === "length" ? "; reply truncated" : "";
      console.error(
        pc.dim(
          `prompt ${promptTokens} tokens, ${reused} reused from the KV cache; reply ${replyTokens} in ${seconds} s; ` +
            `${promptTokens + replyTokens} of ${conversation.capacity}${cut}`,
        ),
      );
    } catch (error) {
      text.end();
      signal.throwIfAborted();
      if (interrupt.aborted) console.error(pc.dim("reply interrupted; Ctrl-C again ends the chat"));
      else if (error instanceof InputError)
        console.error(errorLine(error)); // the conversation continues
      else throw error;
    }
  }
});
