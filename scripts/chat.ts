import { fstatSync } from "node:fs";
import { createInterface } from "node:readline";
import pc from "picocolors";
import { Conversation, InputError } from "../src/index.js";
import { loadConfig } from "../src/checkpoint/load.js";
import { errorLine, main, whole } from "./cli.js";
import { BUNDLED, command, type GenerationOptions, withSampling } from "./model-options.js";
import { open } from "./open-model.js";
import { WrappedText } from "./terminal.js";

interface Options extends GenerationOptions {
  readonly system?: string;
  readonly context: number;
}

const program = command("chat", "Talks with an instruct model, whose KV cache is kept between turns.")
  .option("--system <text>", "what the model is told first")
  .option("--context <n>", "tokens that the conversation may have", whole(), 4096)
  .option("--max-gen-len <n>", "tokens of a reply, at most", whole(), 512)
  .addHelpText("after", "\nWhile it runs: /reset forgets the conversation, /bye ends it, Ctrl-C too.");
withSampling(program, { temperature: 0.6, topP: 0.9, seed: 0 });

await main<Options>(program, async ({ system, context, ...options }, signal) => {
  if (fstatSync(0).isDirectory())
    throw new InputError("the input is a directory, expected text or a terminal");
  const { maxSeqLen } = await loadConfig(options.checkpoint);
  if (context > maxSeqLen && program.getOptionValueSource("context") !== "default") {
    throw new InputError(`--context is ${context}, expected at most the model's ${maxSeqLen}`);
  }
  const { backend, model, tokenizer } = await open(options);
  const conversation = new Conversation(model, tokenizer, Math.min(context, maxSeqLen), system);
  console.error(pc.dim(`on ${backend.description}; /reset forgets the conversation, /bye ends it`));

  if (options.checkpoint === BUNDLED) {
    console.error(
      pc.dim("the bundled model tells fairy tales and nothing else; --checkpoint DIR takes one that answers"),
    );
  }

  const lines = createInterface({ input: process.stdin, output: process.stderr, prompt: pc.bold("> ") });
  lines.on("SIGINT", () => process.emit("SIGINT")); // in a terminal, readline takes Ctrl-C for itself
  signal.addEventListener("abort", () => lines.close());
  let ended = false; // the input, whose last lines may still be unanswered; Node 24 lets nobody prompt then
  lines.once("close", () => (ended = true));
  const ask = () => ended || lines.prompt();
  ask();
  for await (const line of lines) {
    const message = line.trim();
    if (message === "/bye") break;
    if (message === "/reset") {
      conversation.reset();
      console.error(pc.dim("forgotten"));
    } else if (message.startsWith("/")) {
      console.error(errorLine(new InputError(`unknown command "${message}", expected /reset or /bye`)));
    } else if (message) {
      await reply(message);
    }
    ask();
  }
  lines.close();
  conversation.dispose();
  signal.throwIfAborted();

  async function reply(message: string): Promise<void> {
    const text = new WrappedText("");
    const before = conversation.length;
    const started = performance.now();
    let reason = "";
    try {
      const pieces = conversation.reply(message, { ...options, signal });
      for (;;) {
        const { done, value } = await pieces.next();
        if (done) {
          reason = value;
          break;
        }
        text.write(value);
      }
      text.end();
    } catch (error) {
      text.end();
      if (signal.aborted || !(error instanceof InputError)) throw error;
      console.error(errorLine(error)); // the conversation goes on
      return;
    }
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    const cut = reason === "length" ? "; the reply was cut off" : "";
    const { length } = conversation;
    console.error(
      pc.dim(`${length - before} tokens in ${seconds} s, ${length} of ${conversation.capacity}${cut}`),
    );
  }
});
