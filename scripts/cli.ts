import { inspect } from "node:util";
import { type Command, CommanderError, InvalidArgumentError } from "commander";
import pc from "picocolors";
import { outOfMemory } from "../src/backend/tensorflow-messages.js";
import { InputError } from "../src/index.js";
import { endUnread, listen, signal as interrupt, UNREAD } from "./interrupt.js";
import { escapeControl } from "./terminal.js";
import { fileIsAwaited } from "./write-file.js";

/** Runs a command: wrong input ends it with one sentence and exit code 1, Ctrl-C with 130. */
export async function main<Options extends object>(
  program: Command,
  run: (options: Options, signal: AbortSignal) => Promise<void>,
) {
  listen();
  endWithoutReaders();
  program.exitOverride(); // help that cannot be written is found out only after it was, so the process must not end there
  try {
    refuseNpmsOptions(program);
    await run(program.parse().opts() as Options, interrupt);
  } catch (error) {
    if (error === UNREAD) return;
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode; // what is wrong, or the help, has been printed
      return;
    }
    if (interrupt.aborted && interrupt.reason !== UNREAD) {
      console.error("\ninterrupted");
      process.exitCode = 130;
    } else {
      const wrong = error instanceof InputError ? error : outOfMemory(error);
      console.error(wrong ? errorLine(wrong) : escapeControl(inspect(error))); // a defect of ours: its stack trace is wanted
      process.exitCode = 1;
    }
  }
}

/** `npm run generate --no-kv-cache` gives the option to npm, which keeps it; the command would do without in silence. */
function refuseNpmsOptions(program: Command): void {
  for (const { long } of program.options) {
    const name = long?.replace(/^--(?:no-)?/, "").replaceAll("-", "_"); // as npm hands its settings on
    if (!long || NPMS_OWN.has(long) || process.env[`npm_config_${name}`] === undefined) continue;
    throw new InputError(
      `${long} went to npm, expected -- before it: ${program.name().replace(/ --$/, "")} -- ${long}`,
    );
  }
}

/** Options that npm knows, too: where they are set, they may be meant for it. */
const NPMS_OWN = new Set(["--json", "--python"]);

/**
 * When nobody reads stdout any more (`npm run trace | head`), or it cannot be written, what would be printed is lost: the
 * command ends, unless it owes a file. Without a reader of stderr the results are still read, so it goes on.
 */
function endWithoutReaders(): void {
  process.stderr.on("error", () => {}); // there is nobody to tell
  process.stdout.once("error", (error: NodeJS.ErrnoException) => {
    process.stdout.on("error", () => {}); // whatever is printed later fails again
    if (error.code !== "EPIPE") {
      console.error(errorLine(new InputError(`the output cannot be written: ${error.message}`)));
      process.exitCode = 1;
    }
    if (!fileIsAwaited()) endUnread();
  });
}

/** What wrong input prints. */
export const errorLine = ({ message }: InputError): string => `${pc.red("error:")} ${escapeControl(message)}`;

/** Rows, positions and repetitions end here: far beyond what anyone has memory or patience for. */
const MOST = 1_000_000;

/**
 * Parses an option's number, or refuses it; the error names the option as it was typed.
 *
 * @param expected what is good, in words
 */
export const numberOf =
  (expected: string, good: (value: number) => boolean) =>
  (text: string): number => {
    const value = Number(text);
    if (text.trim() === "" || !good(value)) throw new InvalidArgumentError(`Expected ${expected}.`);
    return value;
  };

const isWhole = (value: number, least: number, most: number): boolean =>
  Number.isInteger(value) && value >= least && value <= most;

/** Parses an option's whole number. */
export const whole = (least = 1, most = MOST) =>
  numberOf(`a whole number from ${least} to ${most}`, (value) => isWhole(value, least, most));

/** Parses an option's names out of those that are known, with commas between. */
export const names =
  <Name extends string>(known: readonly Name[], expected = known.join(", ")) =>
  (text: string): Name[] => {
    const given = text.split(",");
    if (given.every((name): name is Name => (known as readonly string[]).includes(name))) return given;
    throw new InvalidArgumentError(`Expected ${expected}, with commas between.`);
  };

/** Parses an option's whole numbers, with commas between. */
export const wholes =
  (least = 1, most = MOST) =>
  (text: string): number[] => {
    const expected = `whole numbers from ${least} to ${most}, with commas between`;
    return text.split(",").map(numberOf(expected, (value) => isWhole(value, least, most)));
  };
