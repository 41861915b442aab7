import { type Command, InvalidArgumentError } from "commander";
import pc from "picocolors";
import { InputError } from "../src/index.js";
import { listen, signal as interrupt } from "./interrupt.js";
import { harmless } from "./terminal.js";

/** Runs a command: wrong input ends it with one sentence and exit code 1, Ctrl-C with 130. */
export async function main<Options extends object>(
  program: Command,
  run: (options: Options, signal: AbortSignal) => Promise<void>,
) {
  listen();
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(); // the reader has seen enough: `npm run trace | head`
    console.error(errorLine(new InputError(`the output cannot be written: ${error.message}`)));
    process.exit(1);
  });
  try {
    await run(program.parse().opts() as Options, interrupt);
  } catch (error) {
    if (interrupt.aborted) {
      console.error("\ninterrupted");
      process.exitCode = 130;
    } else if (error instanceof InputError) {
      console.error(errorLine(error));
      process.exitCode = 1;
    } else {
      console.error(error); // a defect of ours: its stack trace is wanted
      process.exitCode = 1;
    }
  }
}

/** What wrong input prints. */
export const errorLine = ({ message }: InputError): string => `${pc.red("error:")} ${harmless(message)}`;

/** Parses an option's number; whether it is in range is for whoever uses it to say. */
export function number(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || Number.isNaN(value)) throw new InvalidArgumentError("Expected a number.");
  return value;
}

/** Refuses what is not a whole number from `least` up. */
export function checkWhole(name: string, value: number, least = 1): void {
  if (!Number.isInteger(value) || value < least) {
    throw new InputError(`${name} is ${value}, expected a whole number from ${least} up`);
  }
}
