import { join } from "node:path";
import { SingleBar } from "cli-progress";
import { Command } from "commander";
import { download } from "../src/hub/download.js";
import { formatBytes } from "../src/util/format-bytes.js";
import { main } from "./cli.js";
import { escapeControl } from "./terminal.js";

interface Options {
  readonly revision: string;
  readonly to?: string;
}

const program = new Command("npm run download --")
  .description("Downloads a checkpoint from Hugging Face: the files that are read here, and no others.")
  .helpOption("-h, --help", "show this help")
  .configureHelp({ helpWidth: 80 })
  .argument("<repo>", "such as HuggingFaceTB/SmolLM2-135M-Instruct")
  .option("--revision <name>", "a branch, tag or commit", "main")
  .option("--to <dir>", "where to; checkpoints/REPO by default")
  .addHelpText(
    "after",
    "\nHF_TOKEN is the access token for gated and private repositories, HF_ENDPOINT the\n" +
      "address of a mirror. An interrupted download goes on where it ended. Files of\n" +
      "another revision are replaced; those that this one lacks are called NAME.old.",
  );

await main<Options>(program, async ({ revision, to }, signal) => {
  const repo = program.args[0]!;
  const directory = to ?? join("checkpoints", repo);
  const { HF_TOKEN: token, HF_ENDPOINT: endpoint } = process.env;
  const bar = new SingleBar({
    format: "{bar} {percentage}% of {size} | {speed} | {left} left | {file}",
    barsize: 14,
    hideCursor: true,
    clearOnComplete: true,
    linewrap: false,
  });
  const terminal = process.stderr.isTTY;
  let first: { doneBytes: number; at: number } | undefined; // what was there before says nothing of the speed
  let shown = "";
  try {
    const { files, bytes, setAside } = await download({
      repo,
      revision,
      directory,
      hubUrl: (endpoint || "https://huggingface.co").replace(/\/+$/, ""),
      token: token || undefined,
      signal,
      onNote: (sentence) => process.stderr.write(`${terminal ? "\r\x1b[K" : ""}${escapeControl(sentence)}\n`), // over the bar
      onProgress: ({ file, doneBytes, totalBytes }) => {
        first ??= { doneBytes, at: performance.now() };
        const perSecond = (doneBytes - first.doneBytes) / (Math.max(1, performance.now() - first.at) / 1000);
        const begins = !shown;
        if (!terminal && file !== shown) console.error(escapeControl(file));
        shown = file;
        if (!terminal) return;
        const fields = {
          file,
          size: formatBytes(totalBytes),
          speed: `${formatBytes(perSecond)}/s`,
          left: perSecond > 0 ? time((totalBytes - doneBytes) / perSecond) : "?",
        };
        if (begins) bar.start(totalBytes, doneBytes, fields);
        bar.setTotal(totalBytes);
        bar.update(doneBytes, fields);
      },
    });
    bar.stop();
    for (const [name, now] of setAside)
      console.log(`${name} is not of this revision: it is called ${now} now, and is not read any more`);
    console.log(`${files} files, ${formatBytes(bytes)}, are in ${directory}`);
    console.log(`npm run generate -- --checkpoint ${directory}`);
  } finally {
    bar.stop();
  }
});

function time(seconds: number): string {
  return seconds >= 60
    ? `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`
    : `${Math.round(seconds)} s`;
}
