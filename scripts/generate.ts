import { generate } from "../src/index.js";
import { main } from "./cli.js";
import { type GenerationOptions, generationCommand } from "./model-options.js";
import { open } from "./open-model.js";
import { clearStep, duration, jsonOf, showStep, WrappedText } from "./terminal.js";

interface Options extends GenerationOptions {
  readonly kvCache: boolean;
  readonly json?: boolean;
}

const program = generationCommand("generate", "Continue one or several prompts.")
  .option("--no-kv-cache", "recompute all keys and values in every step")
  .option("--json", "print one JSON document to stdout instead of text");

await main<Options>(
  program,
  async ({ prompt = ["Once upon a time"], json, kvCache: useCache, ...options }, signal) => {
    const { backend, model, tokenizer } = await open(options);
    const streamed = !json && prompt.length === 1; // the sequences of a batch grow together: print them at the end
    const text = new WrappedText("");
    let unshown = prompt[0]!; // printed with the first token, once the input has been accepted
    const started = performance.now();
    const results = await generate(model, tokenizer, prompt, {
      ...options,
      useCache,
      signal,
      onText: (_, delta) => {
        if (streamed) text.write(unshown + delta);
        unshown = "";
      },
      onStep: ({ iteration }) => streamed || showStep(iteration),
    });
    const seconds = (performance.now() - started) / 1000;
    clearStep();

    if (json) {
      const { name, device } = backend;
      const { execution, dtype } = options;
      const document = { backend: name, device, execution, dtype, useCache, results, seconds };
      process.stdout.write(`${jsonOf(document, 2)}\n`);
      return;
    }
    if (streamed) {
      text.write(unshown);
      text.end();
    } else {
      for (const { prompt: start, completion } of results) {
        text.write(start + completion);
        text.end();
        console.log();
      }
    }
    const count = results.reduce((sum, { tokens }) => sum + tokens.length, 0);
    const mode = useCache ? "with" : "without";
    const setUp = { eager: "", graph: ", tracing included", xla: ", tracing and compiling included" }[
      options.execution
    ];
    console.error(
      `${count} tokens in ${duration(seconds)}${setUp} (${(count / seconds).toFixed(0)} tokens/s) ` +
        `${mode} the KV cache, on ${backend.description}`,
    );
  },
);
