import { fileURLToPath } from "node:url";
import { Command, InvalidArgumentError, Option } from "commander";
import pc from "picocolors";
import {
  type Checkpoint,
  DEFAULTS,
  type Engine,
  ENGINES,
  InputError,
  loadCheckpoint,
  loadEngine,
} from "../src/index.js";

/** The model that comes with the repository. */
const BUNDLED = fileURLToPath(new URL("../fixtures/fairy-tales", import.meta.url));

/** Options that every command has. */
export interface CommonOptions {
  readonly checkpoint: string;
  readonly engine: string;
}

/** Options of the commands that generate text. */
export interface GenerationOptions extends CommonOptions {
  readonly prompt?: string[];
  readonly maxGenLen: number;
  readonly temperature: number;
  readonly topP: number;
  readonly seed: number;
}

/** A command with the common options; `npm run NAME -- --help` lists them. */
export function command(name: string, description: string): Command {
  return new Command(name === "start" ? "npm start --" : `npm run ${name} --`)
    .description(description)
    .helpOption("-h, --help", "show this help")
    .configureHelp({ helpWidth: 80 })
    .addOption(
      new Option("--checkpoint <dir>", "a Hugging Face model directory").default(
        BUNDLED,
        "the bundled model",
      ),
    )
    .addOption(
      new Option("--engine <name>", "what computes; auto takes tensorflow where it is installed, else wasm")
        .choices(["auto", ...ENGINES])
        .default("auto"),
    );
}

/** A command with the common options and those of generation. */
export function generationCommand(
  name: string,
  description: string,
  defaults: Partial<GenerationOptions> = {},
): Command {
  const values = { ...DEFAULTS, ...defaults };
  return command(name, description)
    .option("--prompt <text>", "what to continue; give it several times for a batch", collect)
    .option("--max-gen-len <n>", "tokens to generate for each prompt, at most", number, values.maxGenLen)
    .option("--temperature <t>", "0 always takes the best token", number, values.temperature)
    .option("--top-p <p>", "sample from the likeliest tokens up to this probability", number, values.topP)
    .option("--seed <n>", "the same seed, the same tokens", number, values.seed);
}

/** Loads the engine and the model that the options name. */
export async function open(options: CommonOptions): Promise<Checkpoint & { engine: Engine }> {
  const engine = await loadEngine(options.engine);
  return { engine, ...(await loadCheckpoint(options.checkpoint)) };
}

/** Runs a command: wrong input ends it with one sentence and exit code 1, Ctrl-C with 130. */
export async function main<Options extends object>(
  program: Command,
  run: (options: Options, signal: AbortSignal) => Promise<void>,
) {
  const interrupt = new AbortController();
  process.once("SIGINT", () => interrupt.abort());
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(0); // the reader has seen enough: `npm run trace | head`
    throw error;
  });
  try {
    await run(program.parse().opts() as Options, interrupt.signal);
  } catch (error) {
    if (interrupt.signal.aborted) {
      console.error("\ninterrupted");
      process.exitCode = 130;
    } else if (error instanceof InputError) {
      console.error(`${pc.red("error:")} ${error.message}`);
      process.exitCode = 1;
    } else {
      throw error; // a defect of ours: its stack trace is wanted
    }
  }
}

/** Parses an option's number; whether it is in range is for whoever uses it to say. */
export function number(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || Number.isNaN(value)) throw new InvalidArgumentError("Expected a number.");
  return value;
}

const collect = (value: string, previous: string[] = []): string[] => [...previous, value];
