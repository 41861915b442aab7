import { join } from "node:path";
import { SingleBar } from "cli-progress";
import { Command } from "commander";
import { download } from "../src/hub/download.js";
import { formatBytes } from "../src/util/format.js";
import { main } from "./cli.js";
import { escapeControl } from "./terminal.js";

const program = new Command("npm run download --")
  .description("Download a checkpoint from Hugging Face: only the files that this project reads.")
  .argument("<repo>", "repository, such as HuggingFaceTB/SmolLM2-135M-Instruct")
  .option("--revision <name>", "branch, tag or commit", "main")
  .option("--to <dir>", "target directory (default: checkpoints/REPO)")
  .addHelpText(
    "after",
    "\nHF_TOKEN is the access token for gated and private repositories, HF_ENDPOINT the\n" +
      "address of a mirror. An interrupted download is resumed. Files that differ from\n" +
      "the repository's are not replaced.",
  );

await main<{ revision: string; to?: string }>(program, async ({ revision, to }, signal) => {
  const repo = program.args[0]!;
  const directory = to ?? join("checkpoints", repo);
  const { HF_TOKEN: token, HF_ENDPOINT: endpoint } = process.env;
  const isTerminal = process.stderr.isTTY;
  const bar = new SingleBar({
    format: "{bar} {percentage}% of {size} | {eta_formatted} left | {file}",
    barsize: 14,
    hideCursor: true,
    clearOnComplete: true,
    linewrap: false,
  });
  let shown = "";
  try {
    const { files, bytes } = await download({
      repo,
      revision,
      directory,
      hubUrl: (endpoint || "https://huggingface.co").replace(/\/+$/, ""),
      token: token || undefined,
      signal,
      onNote: (sentence) => console.error((isTerminal ? "\r\x1b[K" : "") + escapeControl(sentence)),
      onProgress: ({ file, doneBytes, totalBytes }) => {
        if (!isTerminal && file !== shown) console.error(file);
        const fields = { file, size: formatBytes(totalBytes) };
        if (shown === "")
          bar.start(totalBytes, doneBytes, fields); // shows nothing unless stderr is a terminal
        else bar.update(doneBytes, fields);
        shown = file;
      },
    });
    bar.stop();
    console.log(`${files} files, ${formatBytes(bytes)}, are in ${directory}`);
    console.log(`npm run generate -- --checkpoint ${directory}`);
  } finally {
    bar.stop();
  }
});
