import { InputError } from "../util/errors.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";

/** Who speaks. */
export type Role = "system" | "user" | "assistant";

/** Where a message begins and ends, in tokens. */
export interface ChatFormat {
  /** Whether the token that starts every text starts the conversation too. */
  readonly begins: boolean;
  /** What stands before a message of this role, and the beginning of the message, if it is there already. */
  header(role: Role, text?: string): number[];
  /** What stands after a message. */
  readonly end: readonly number[];
  /** What a reply ends with. */
  readonly stopId: number;
  /** A whole message: its header, the text and its end. */
  message(role: Role, text: string): number[];
}

/**
 * Llama 3's format (`ChatFormat` in https://github.com/meta-llama/llama3/blob/main/llama/tokenizer.py), or ChatML, which
 * SmolLM2 and many others have; whichever the tokenizer has the tokens of.
 *
 * @throws InputError when it has those of neither
 */
export function chatFormat(tokenizer: Tokenizer): ChatFormat {
  const plain = (text: string) => tokenizer.encode(text, { bos: false, continues: true });
  const special = (name: string) => tokenizer.special(name);
  const format = (begins: boolean, end: readonly number[], header: ChatFormat["header"]): ChatFormat => ({
    begins,
    header,
    end,
    stopId: end[0]!,
    message: (role, text) => [...header(role, text.trim()), ...end],
  });
  if (tokenizer.hasSpecial("<|start_header_id|>")) {
    const [begin, end] = [special("<|start_header_id|>"), special("<|end_header_id|>")];
    return format(true, [special("<|eot_id|>")], (role, text = "") => [
      begin,
      ...plain(role),
      end,
      ...plain("\n\n"),
      ...plain(text),
    ]);
  }
  if (tokenizer.hasSpecial("<|im_start|>")) {
    const begin = special("<|im_start|>");
    return format(false, [special("<|im_end|>"), ...plain("\n")], (role, text = "") => [
      begin,
      ...plain(`${role}\n${text}`), // in one, as no special token stands between
    ]);
  }
  throw new InputError(
    "the tokenizer has neither <|start_header_id|> nor <|im_start|>, expected an instruct model with Llama 3's chat format",
  );
}
