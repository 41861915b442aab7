import { Command } from "commander";
import { main, integer } from "./cli.js";
import { runMocha } from "./run-mocha.js";

const program = new Command("npm run test:fuzz --")
  .description(
    "Damages a checkpoint's files at random, many times: each loads right or is refused in one sentence.",
  )
  .helpOption("-h, --help", "show this help")
  .configureHelp({ helpWidth: 80 })
  .option("--runs <n>", "how many of each kind", integer(), 2000);

await main<{ readonly runs: number }>(program, ({ runs }, signal) =>
  runMocha(["test/fuzz/fuzz.test.ts"], { FUZZ_RUNS: String(runs) }, signal),
);
