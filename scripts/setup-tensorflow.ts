import cliProgress from "cli-progress";
import { Command, Option } from "commander";
import pc from "picocolors";
import { DEVICES } from "../src/backend/backend.js";
import { size } from "./setup-tensorflow/disk-space.js";
import { clean } from "./setup-tensorflow/install.js";
import { type Report, thisPlace } from "./setup-tensorflow/place.js";
import type { SetupOptions } from "./setup-tensorflow/plan.js";
import { setup } from "./setup-tensorflow/setup.js";
import { main } from "./cli.js";

const program = new Command("npm run setup:tensorflow --")
  .description(
    "Installs the native part of --backend tensorflow: TensorFlow's C library from PyPI, and the addon that joins Node " +
      "to it, compiled here. Run again, it goes on where it was interrupted.",
  )
  .helpOption("-h, --help", "show this help")
  .configureHelp({ helpWidth: 80 })
  .addOption(
    new Option("--device <name>", "what to build for; without it, cuda where there is a driver").choices(
      DEVICES,
    ),
  )
  .option("--with-cuda-libs", "bring NVIDIA's CUDA 12 libraries too, where the system has none")
  .option("--from <wheel>", "take this wheel instead of downloading one")
  .option("--clean", "undo it: remove all that was installed and cached");

// Bars where somebody watches, plain lines in a log; on stderr, as everything that is not a result.
const report: Report = {
  line: (text) => console.error(text),
  async step(title, bytes, work) {
    console.error(`${title}${bytes === 0 ? "" : `, ${size(bytes)}`} …`);
    if (!process.stderr.isTTY || bytes === 0) return work(() => {});
    const bar = new cliProgress.SingleBar({ format: "  {bar} {percentage}%", hideCursor: true });
    bar.start(bytes, 0);
    try {
      const result = await work((done) => bar.update(done));
      bar.update(bytes);
      return result;
    } finally {
      bar.stop();
    }
  },
};

await main<SetupOptions & { clean?: boolean }>(program, async ({ clean: undo, ...options }, signal) => {
  const place = thisPlace(report, signal);
  if (undo) return clean(place);
  console.log(pc.green(await setup(options, place)));
});
