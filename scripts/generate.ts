import { main } from "./cli.js";
import { type GenerationOptions, generationCommand, PROMPT, withDefaultsOf } from "./model-options.js";
import { open } from "./open-model.js";
import { tell } from "./tell.js";
import { jsonOf } from "./terminal.js";

interface Options extends GenerationOptions {
  readonly kvCache: boolean;
  readonly json?: boolean;
}

const program = generationCommand("generate", "Continue one or several prompts.")
  .option("--no-kv-cache", "recompute all keys and values in every step")
  .option("--json", "print one JSON document to stdout instead of text");

await main<Options>(program, async ({ prompt, json, kvCache: useCache, ...options }, signal) => {
  const { backend, model, tokenizer, sampling } = await open(options);
  const { execution, dtype } = options;
  const settings = { ...withDefaultsOf(sampling, program, options), useCache, signal };
  const indent = json ? undefined : "";
  const { results, seconds, summary } = await tell(model, tokenizer, prompt ?? PROMPT, settings, indent);
  if (json) {
    const { name, device } = backend;
    const document = { backend: name, device, execution, dtype, useCache, results, seconds };
    process.stdout.write(`${jsonOf(document, 2)}\n`);
    return;
  }
  const setUp = { eager: "", graph: ", tracing included", xla: ", tracing and compiling included" };
  const mode = useCache ? "with" : "without";
  console.error(`${summary}${setUp[execution]}, ${mode} the KV cache, on ${backend.description}`);
});
