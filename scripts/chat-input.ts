import { createInterface } from "node:readline";
import pc from "picocolors";
import { InputError } from "../src/index.js";
import { Paste } from "./paste.js";

/** Something that the user entered: a message, or a command such as /reset. */
export type Input = { readonly message: string } | { readonly command: string };

/** The line that begins and ends a message of several lines. */
const FENCE = '"""';

/**
 * Reads what the user enters. A line is a message; lines between two lines of """ are one, and so are lines that are
 * pasted together. "/" begins a command, and "//" a message that begins with "/".
 *
 * @throws InputError when the input ends within a message of several lines; the signal's reason
 */
export async function* readInputs(signal: AbortSignal): AsyncGenerator<Input, void, void> {
  let block: string[] | undefined;
  const { stdin, stderr } = process;
  const lines =
    stdin.isTTY && stderr.isTTY ? typedLines(() => (block ? "… " : "> "), signal) : pipedLines(signal);
  for await (const line of lines) {
    if (line.trim() === FENCE) {
      if (block) yield { message: block.join("\n") };
      block = block ? undefined : [];
    } else if (block) block.push(line);
    else if (line.trim() !== "") yield inputOf(line);
  }
  signal.throwIfAborted();
  if (block)
    throw new InputError(`a message of several lines must end with ${FENCE}, got the end of the input`);
}

function inputOf(line: string): Input {
  const command = line.trim();
  if (!command.startsWith("/") || command.includes("\n")) return { message: line };
  return command.startsWith("//") ? { message: line.replace("//", "/") } : { command };
}

/** The lines of a file or pipe, which end with \n or \r\n: readline would also end them at U+2028, in some versions of Node. */
async function* pipedLines(signal: AbortSignal): AsyncGenerator<string, void, void> {
  let rest = "";
  signal.addEventListener("abort", () => process.stdin.destroy(signal.reason as Error));
  for await (const chunk of process.stdin.setEncoding("utf8") as AsyncIterable<string>) {
    const [first, ...others] = chunk.split("\n");
    const lines = [rest + first!, ...others];
    rest = lines.pop()!;
    for (const line of lines) yield line.replace(/\r$/, "");
  }
  if (rest !== "") yield rest;
}

/** The lines that are typed in a terminal; several that are pasted together are one. */
async function* typedLines(prompt: () => string, signal: AbortSignal): AsyncGenerator<string, void, void> {
  const { stdin, stderr } = process;
  const input = Object.assign(new Paste(), { setRawMode: (isRaw: boolean) => stdin.setRawMode(isRaw) });
  const lines = createInterface({ input: stdin.pipe(input), output: stderr, terminal: true });
  lines.on("SIGINT", () => process.emit("SIGINT")); // Ctrl-C is a key in raw mode
  const close = () => lines.close();
  signal.addEventListener("abort", close);
  let ended = false; // Node 24 rejects prompt() then, while the last lines may be unanswered
  lines.once("close", () => (ended = true));
  const ask = () => {
    lines.setPrompt(pc.bold(prompt()));
    if (!ended) lines.prompt();
  };
  stderr.write("\x1b[?2004h"); // the terminal marks what is pasted
  try {
    ask();
    for await (const line of lines) {
      yield Paste.restore(line);
      ask();
    }
  } finally {
    stderr.write("\x1b[?2004l");
    signal.removeEventListener("abort", close);
    lines.close();
    stdin.unpipe(input).pause();
  }
}
