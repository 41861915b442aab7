import { spawn } from "node:child_process";
import { Command } from "commander";
import { main, whole } from "./cli.js";

const program = new Command("npm run test:fuzz --")
  .description(
    "Damages a checkpoint's files at random, many times: each loads right or is refused in one sentence.",
  )
  .helpOption("-h, --help", "show this help")
  .configureHelp({ helpWidth: 80 })
  .option("--runs <n>", "how many of each kind", whole(), 2000);

await main<{ readonly runs: number }>(program, async ({ runs }) => {
  const env = { ...process.env, FUZZ_RUNS: String(runs) };
  const mocha = spawn(process.execPath, ["node_modules/mocha/bin/mocha.js", "test/fuzz.test.ts"], {
    env,
    stdio: "inherit",
  });
  process.exitCode = await new Promise<number>((resolve) => mocha.on("close", (code) => resolve(code ?? 1)));
});
