import { Command, Option } from "commander";
import pc from "picocolors";
import { DEVICES } from "../src/backend/backend.js";
import { main } from "./cli.js";
import { thisEnvironment } from "./setup-tensorflow/environment.js";
import { clean } from "./setup-tensorflow/install.js";
import { setup, type SetupOptions } from "./setup-tensorflow/setup.js";

const program = new Command("npm run setup:tensorflow --")
  .description(
    "Install the native part of --backend tensorflow: TensorFlow's C library from PyPI, and the addon that connects " +
      "Node to it, compiled here.",
  )
  .addOption(
    new Option(
      "--device <name>",
      "device to build for; default: cuda with an NVIDIA driver, else cpu",
    ).choices(DEVICES),
  )
  .option("--with-cuda-libs", "also install NVIDIA's CUDA 12 libraries, if the system has none")
  .option("--clean", "remove everything that was installed and cached");

await main<SetupOptions & { clean?: boolean }>(program, async ({ clean: undo, ...options }, signal) => {
  const environment = thisEnvironment(signal);
  if (undo) return clean(environment);
  console.log(pc.green(await setup(options, environment)));
});
