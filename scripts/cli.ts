import { basename } from "node:path";
import { inspect } from "node:util";
import { type Command, CommanderError, InvalidArgumentError, Option } from "commander";
import pc from "picocolors";
import { outOfMemory } from "../src/backend/tensorflow-messages.js";
import { InputError } from "../src/index.js";
import { endUnread, listen, signal as interrupt, UNREAD } from "./interrupt.js";
import { escapeControl } from "./terminal.js";
import { fileIsAwaited } from "./write-file.js";

/** Runs a command. An InputError ends it with one sentence and exit code 1, Ctrl-C with 130. */
export async function main<Options extends object>(
  program: Command,
  run: (options: Options, signal: AbortSignal) => Promise<void>,
) {
  listen();
  handleClosedOutput();
  program
    .exitOverride() // commander would exit before a failed write of the help is noticed
    .helpOption("-h, --help", "show this help")
    .configureHelp({ helpWidth: 80 })
    .configureOutput({ outputError: (text, write) => write(escapeControl(reworded(text))) });
  try {
    rejectOptionsTakenByNpm(program);
    await run(program.parse().opts() as Options, interrupt);
  } catch (error) {
    if (error === UNREAD) return;
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode; // the message or the help has been printed
      return;
    }
    if (interrupt.aborted && interrupt.reason !== UNREAD) {
      console.error("\ninterrupted");
      process.exitCode = 130;
    } else {
      const wrong = error instanceof InputError ? error : outOfMemory(error);
      console.error(wrong ? errorLine(wrong) : escapeControl(inspect(error))); // a bug: print the stack trace
      process.exitCode = 1;
    }
  }
}

/** commander's message in the form of all others: "--seed must be …, got …". */
const reworded = (message: string): string =>
  message
    .replace("is invalid. Allowed choices are", "is invalid. Expected one of")
    .replace(
      /option '(--[\w-]+).*?' argument '(.*)' is invalid\. Expected (.*)\.$/ms,
      '$1 must be $3, got "$2"',
    )
    .replace(/option '(--[\w-]+) (.*)' argument missing/, "$1 must be followed by $2")
    .replace(/(too many arguments|(?:unknown option|missing required argument) '.*').*$/m, "$1; see --help");

/** npm keeps options that precede `--` (`npm run generate --no-kv-cache`); the command would run without them. */
function rejectOptionsTakenByNpm(program: Command): void {
  for (const { long, argChoices } of program.options) {
    const name = long?.replace(/^--(?:no-)?/, "").replaceAll("-", "_"); // npm passes its settings on in this form
    const taken = process.env[`npm_config_${name}`];
    if (!long || NPM_OPTIONS.has(long) || taken === undefined) continue;
    if (long === "--cache" && !argChoices?.includes(basename(taken))) continue; // npm's own directory, which it always sets
    throw new InputError(
      `${long} was taken by npm: put -- before it, as in ${program.name().replace(/ --$/, "")} -- ${long}`,
    );
  }
}

/** Options that npm has too and that may be meant for it. */
const NPM_OPTIONS = new Set(["--json", "--python"]);

/**
 * Ends the command when stdout is closed (`npm run trace | head`) or cannot be written, unless it still has a file to
 * write. A closed stderr is ignored.
 */
function handleClosedOutput(): void {
  process.stderr.on("error", () => {});
  process.stdout.once("error", (error: NodeJS.ErrnoException) => {
    process.stdout.on("error", () => {}); // later writes fail too
    if (error.code !== "EPIPE") {
      console.error(errorLine(new InputError(`cannot write to stdout: ${error.message}`)));
      process.exitCode = 1;
    }
    if (!fileIsAwaited()) endUnread();
  });
}

/** Formats an InputError for the terminal. */
export const errorLine = ({ message }: InputError): string => `${pc.red("error:")} ${escapeControl(message)}`;

/** Upper limit of counts on the command line; no machine has the memory for more. */
const MAX = 1_000_000;

/**
 * Parses an option's number; commander's error names the option.
 *
 * @param expected description of valid values, for the error
 */
export const numberOf =
  (expected: string, isValid: (value: number) => boolean) =>
  (text: string): number => {
    const value = Number(text);
    if (text.trim() === "" || !isValid(value)) throw new InvalidArgumentError(`Expected ${expected}.`);
    return value;
  };

/** Parses an option's whole number. */
export const integer = (least = 1, most = MAX) =>
  numberOf(`a whole number from ${least} to ${most}`, isWhole(least, most));

/** Parses a comma-separated list of whole numbers. */
export const integers =
  (least = 1, most = MAX) =>
  (text: string): number[] =>
    text
      .split(",")
      .map(numberOf(`whole numbers from ${least} to ${most}, comma-separated`, isWhole(least, most)));

const isWhole = (least: number, most: number) => (value: number) =>
  Number.isInteger(value) && value >= least && value <= most;

/** Parses a comma-separated list of known names. */
export const names =
  <Name extends string>(known: readonly Name[]) =>
  (text: string): Name[] => {
    const given = text.split(",");
    if (given.every((name): name is Name => (known as readonly string[]).includes(name))) return given;
    throw new InvalidArgumentError(`Expected a comma-separated list of ${known.join(", ")}.`);
  };

/** An option that takes one of some words. */
export const choice = (
  flags: string,
  description: string,
  words: readonly string[],
  preset?: string,
): Option => new Option(flags, description).choices(words).default(preset);
