import { InputError } from "../util/errors.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";

/** The sender of a message. */
export type Role = "system" | "user" | "assistant";

/** The tokens that delimit messages. */
export interface ChatFormat {
  /** True if a conversation starts with the begin-of-text token. */
  readonly begins: boolean;
  /** The tokens before a message of this role, followed by those of `text`. */
  header(role: Role, text?: string): number[];
  /** The tokens after a message. */
  readonly end: readonly number[];
  /** The token that ends a reply. */
  readonly stopId: number;
  /** A complete message: header, text and end. */
  message(role: Role, text: string): number[];
}

/**
 * The chat format whose special tokens the tokenizer has: Llama 3's (`ChatFormat` in Meta's llama3/tokenizer.py), or
 * ChatML, which SmolLM2 and many others use.
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
      ...plain(`${role}\n${text}`), // encoded together: no special token separates them
    ]);
  }
  throw new InputError(
    "the tokenizer must have <|start_header_id|> (Llama 3) or <|im_start|> (ChatML), got neither: use an instruct model",
  );
}
