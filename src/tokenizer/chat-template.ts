import { Template } from "@huggingface/jinja";
import { InputError } from "../util/errors.js";

/** A message of a conversation. */
export interface Message {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

/** The library's own writes month names in the language of the machine. The block takes up the line feed after it. */
const OWN_CLOCK = "{% set strftime_now = own_strftime_now %}\n";

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
   * @param now       the clock, for templates with a date
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
      () => new Template(OWN_CLOCK + unix),
    );
  }

  /**
   * Writes a conversation.
   *
   * @param addGenerationPrompt whether the beginning of a reply follows the last message
   * @throws InputError for a conversation that the template rejects, such as two messages of the same role in a row
   */
  render(messages: readonly Message[], addGenerationPrompt: boolean): string {
    return this.explaining("must accept these messages", () =>
      this.template.render({
        ...this.variables,
        messages,
        tools: null,
        documents: null,
        add_generation_prompt: addGenerationPrompt,
        own_strftime_now: (format: string) => strftime(format, this.now()),
      }),
    );
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
