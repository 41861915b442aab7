import { Environment, Interpreter, Template } from "@huggingface/jinja";
import { InputError } from "../util/errors.js";

/** A message of a conversation. */
export interface Message {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

/** Upper bound for the time of one rendering, of which a chat takes milliseconds. */
const MAX_SECONDS = 10;
/** Upper bound for the characters or elements of a value. */
const MAX_LENGTH = 10_000_000;
/** The longest range in the sandbox in which transformers renders templates. */
const MAX_RANGE = 100_000;

/** The part of the library's interpreter that is used here; the library's own declaration cannot be resolved. */
interface JinjaInterpreter {
  evaluate: (node: unknown, scope: unknown) => { readonly value: unknown };
  run: (program: Template["parsed"]) => { readonly value: unknown };
}

/** The library's interpreter with limits, because a template is a program from a checkpoint and could loop for ever. */
function boundedInterpreter(environment: Environment, now: () => Date): JinjaInterpreter {
  const interpreter: JinjaInterpreter = new Interpreter(environment);
  const evaluate = interpreter.evaluate.bind(interpreter);
  const end = now().getTime() + MAX_SECONDS * 1000;
  interpreter.evaluate = (node, scope) => {
    const result = evaluate(node, scope);
    const { value } = result;
    if ((typeof value === "string" || Array.isArray(value)) && value.length > MAX_LENGTH) {
      throw new Error(`a value is longer than ${MAX_LENGTH}`);
    }
    if (now().getTime() > end) throw new Error(`it takes longer than ${MAX_SECONDS} seconds`);
    return result;
  };
  return interpreter;
}

/** The names that jinja2 and transformers define in every template. */
const globals = (now: () => Date): Readonly<Record<string, unknown>> => ({
  true: true,
  false: false,
  none: null,
  True: true,
  False: false,
  None: null,
  range,
  raise_exception: (message: string) => {
    throw new Error(message);
  },
  strftime_now: (format: string) => strftime(format, now()),
});

/** Python's `range`. */
function range(first: number, second?: number, step = 1): number[] {
  const [start, stop] = second === undefined ? [0, first] : [first, second];
  const length = Math.max(0, Math.ceil((stop - start) / step));
  if (!(length <= MAX_RANGE)) throw new Error(`a range must have at most ${MAX_RANGE} numbers`);
  return Array.from({ length }, (_, i) => start + i * step);
}

/**
 * A checkpoint's chat template: a Jinja program that writes a conversation as the text that the model was trained on,
 * with the names of its special tokens. It is rendered as `apply_chat_template` of transformers does.
 */
export class ChatTemplate {
  private readonly template: Template;

  /**
   * @param text      the program
   * @param variables the names of the special tokens by role, such as `bos_token`
   * @param source    the file's name in errors
   * @param now       the clock, for templates with a date, and for those that loop for ever
   * @throws InputError for a text that is not a Jinja template
   */
  constructor(
    readonly text: string,
    private readonly variables: Readonly<Record<string, string>>,
    private readonly source: string,
    private readonly now: () => Date = () => new Date(),
  ) {
    const unix = text.replaceAll(/\r\n?/g, "\n"); // as jinja2 does
    this.template = this.explaining(
      "must be a Jinja template that @huggingface/jinja can render",
      () => new Template(unix),
    );
  }

  /**
   * Writes a conversation.
   *
   * @param addGenerationPrompt whether the beginning of a reply follows the last message
   * @throws InputError for a conversation that the template rejects, such as two messages of the same role in a row, and
   *         when rendering takes too long
   */
  render(messages: readonly Message[], addGenerationPrompt: boolean): string {
    return this.explaining("must accept these messages", () => {
      const environment = new Environment();
      const variables = {
        ...globals(this.now),
        ...this.variables,
        messages,
        tools: null,
        documents: null,
        add_generation_prompt: addGenerationPrompt,
      };
      for (const [key, value] of Object.entries(variables)) environment.set(key, value);
      return boundedInterpreter(environment, this.now).run(this.template.parsed).value as string;
    });
  }

  private explaining<Result>(rule: string, run: () => Result): Result {
    try {
      return run();
    } catch (error) {
      throw new InputError(
        `the chat template of ${this.source} ${rule}, got the error "${(error as Error).message}"`,
      );
    }
  }
}

const twoDigits = (n: number): string => `${n}`.padStart(2, "0");
const name = (date: Date, part: Intl.DateTimeFormatOptions): string => date.toLocaleDateString("en-US", part);

/** Python's `strftime` in its default locale, for the directives that templates use. */
const DIRECTIVES: Readonly<Record<string, (date: Date) => string>> = {
  "%Y": (date) => `${date.getFullYear()}`,
  "%m": (date) => twoDigits(date.getMonth() + 1),
  "%B": (date) => name(date, { month: "long" }),
  "%b": (date) => name(date, { month: "short" }),
  "%d": (date) => twoDigits(date.getDate()),
  "%A": (date) => name(date, { weekday: "long" }),
  "%a": (date) => name(date, { weekday: "short" }),
  "%H": (date) => twoDigits(date.getHours()),
  "%M": (date) => twoDigits(date.getMinutes()),
  "%S": (date) => twoDigits(date.getSeconds()),
  "%%": () => "%",
};

function strftime(format: string, date: Date): string {
  return format.replaceAll(/%[^]?/g, (directive) => {
    const write = DIRECTIVES[directive];
    if (!write) throw new Error(`strftime_now does not support ${directive}`);
    return write(date);
  });
}
