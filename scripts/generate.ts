import { generate } from "../src/index.js";
import { type GenerationOptions, generationCommand, main, open } from "./cli.js";
import { duration, WrappedText } from "./terminal.js";

interface Options extends GenerationOptions {
  readonly kvCache: boolean;
  readonly json?: boolean;
}

const program = generationCommand("generate", "Continues one or several prompts.")
  .option("--no-kv-cache", "compute all keys and values anew in every step")
  .option("--json", "print one JSON document to stdout, and nothing else there");

await main<Options>(
  program,
  async ({ prompt = ["Once upon a time"], json, kvCache: kvCaching, ...options }, signal) => {
    const { engine, model, tokenizer } = await open(options);
    const text = new WrappedText("");
    const streamed = !json && prompt.length === 1;
    if (streamed) text.write(prompt[0]!);
    const started = performance.now();
    const results = await generate(model, tokenizer, prompt, {
      ...options,
      kvCaching,
      signal,
      onText: (_, piece) => streamed && text.write(piece),
      onStep: ({ iteration }) =>
        !streamed && process.stderr.isTTY && process.stderr.write(`\rstep ${iteration}`),
    });
    const seconds = (performance.now() - started) / 1000;
    if (!streamed && process.stderr.isTTY) process.stderr.write("\r\x1b[K");

    if (json) {
      const { name, device } = engine;
      const document = { engine: name, device, dtype: "float32", kvCaching, results, seconds };
      process.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
      return;
    }
    for (const { prompt: start, completion } of streamed ? [] : results) {
      text.write(start + completion);
      text.end();
      console.log();
    }
    if (streamed) text.end();
    const count = results.reduce((sum, { tokens }) => sum + tokens.length, 0);
    const mode = kvCaching ? "with" : "without";
    console.error(
      `${count} tokens in ${duration(seconds)} (${(count / seconds).toFixed(0)} tokens/s) ` +
        `${mode} the KV cache, on ${engine.description}`,
    );
  },
);
