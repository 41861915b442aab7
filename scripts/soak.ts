import { Command } from "commander";
import { main, integer } from "./cli.js";
import { runMocha } from "./run-mocha.js";

const program = new Command("npm run test:soak --")
  .description(
    "Generates many times in one process, batches and lengths at random, with the KV cache and without: tensors, memory " +
      "and handles must return to where they were, and both modes agree. A quarter of an hour each; BACKENDS=wasm before it " +
      "says on which.",
  )
  .helpOption("-h, --help", "show this help")
  .configureHelp({ helpWidth: 80 })
  .option("--generations <n>", "how many, at least 40: the first warm up", integer(40), 200);

await main<{ readonly generations: number }>(program, async ({ generations }, signal) => {
  const environment = {
    SOAK_GENERATIONS: String(generations),
    // glibc keeps what is freed in pools, one a thread. XLA compiles in many: the process would grow and shrink by 100 MB.
    MALLOC_ARENA_MAX: "1",
  };
  await runMocha(["--node-option", "expose-gc", "test/soak/soak.ts"], environment, signal);
});
