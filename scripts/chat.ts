import { fstatSync } from "node:fs";
import { createInterface } from "node:readline";
import pc from "picocolors";
import { Conversation, InputError } from "../src/index.js";
import { loadConfig } from "../src/checkpoint/load.js";
import { errorLine, main, integer } from "./cli.js";
import { BUNDLED, command, type GenerationOptions, withSampling } from "./model-options.js";
import { open } from "./open-model.js";
import { WrappedText } from "./terminal.js";

interface Options extends GenerationOptions {
  readonly system?: string;
  readonly context: number;
}

const program = command("chat", "Chat with an instruct model; its KV cache is kept between messages.")
  .option("--system <text>", "system message")
  .option("--context <n>", "maximum tokens of the conversation", integer(), 4096)
  .option("--max-gen-len <n>", "maximum tokens of a reply", integer(), 512)
  .addHelpText("after", "\nCommands: /reset starts over, /bye or Ctrl-C quits.");
withSampling(program, { temperature: 0.6, topP: 0.9, seed: 0 });

await main<Options>(program, async ({ system, context, ...options }, signal) => {
  if (fstatSync(0).isDirectory())
    throw new InputError("the input must be text or a terminal, got a directory");
  const { maxSeqLen } = await loadConfig(options.checkpoint);
  if (context > maxSeqLen && program.getOptionValueSource("context") !== "default") {
    throw new InputError(`--context must be at most the model's ${maxSeqLen}, got ${context}`);
  }
  const { backend, model, tokenizer } = await open(options);
  const conversation = new Conversation(model, tokenizer, Math.min(context, maxSeqLen), system);
  console.error(pc.dim(`${backend.description}; /reset starts over, /bye quits`));

  if (options.checkpoint === BUNDLED) {
    console.error(
      pc.dim("the bundled model only tells fairy tales; use --checkpoint DIR for an instruct model"),
    );
  }

  const lines = createInterface({ input: process.stdin, output: process.stderr, prompt: pc.bold("> ") });
  lines.on("SIGINT", () => process.emit("SIGINT")); // readline handles Ctrl-C itself in a terminal
  signal.addEventListener("abort", () => lines.close());
  let ended = false; // the input; Node 24 rejects prompt() then, while the last lines may be unanswered
  lines.once("close", () => (ended = true));
  const ask = () => ended || lines.prompt();
  ask();
  for await (const line of lines) {
    const message = line.trim();
    if (message === "/bye") break;
    if (message === "/reset") {
      conversation.reset();
      console.error(pc.dim("conversation reset"));
    } else if (message.startsWith("/")) {
      console.error(errorLine(new InputError(`unknown command "${message}": use /reset or /bye`)));
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
      const deltas = conversation.reply(message, { ...options, signal });
      for (;;) {
        const { done, value } = await deltas.next();
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
      console.error(errorLine(error)); // the conversation continues
      return;
    }
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    const cut = reason === "length" ? "; reply truncated" : "";
    const { length } = conversation;
    console.error(
      pc.dim(`${length - before} tokens in ${seconds} s, ${length} of ${conversation.capacity}${cut}`),
    );
  }
});
