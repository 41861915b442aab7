import type { ChatTemplate, Message } from "../tokenizer/chat-template.js";
import type { AddedToken, Tokenizer } from "../tokenizer/tokenizer.js";
import { InputError } from "../util/errors.js";
import { formatValue } from "../util/format.js";

/** A control token that the template wrote, or the text between two of them. */
type Section = { readonly id: number } | { readonly text: string; readonly plain: boolean };

/**
 * The token ids of a conversation: those of transformers' `apply_chat_template`, but with a control token's name in a
 * message as text (transformers' `sanitize_control_tokens`). So no message can end itself or begin another.
 *
 * Control tokens are the special tokens, and the added tokens that the template contains.
 */
export class ChatPrompt {
  private readonly control: ReadonlyMap<string, AddedToken>;
  /** The characters that a control token can begin with. */
  private readonly initials: ReadonlySet<string>;

  constructor(
    private readonly template: ChatTemplate,
    private readonly tokenizer: Tokenizer,
  ) {
    const isControl = ({ special, content }: AddedToken) =>
      special || (content.trim() !== "" && template.text.includes(content));
    const longestFirst = tokenizer.added
      .filter(isControl)
      .toSorted((a, b) => b.content.length - a.content.length);
    this.control = new Map(longestFirst.map((token) => [token.content, token]));
    this.initials = new Set(longestFirst.map(({ content }) => content[0]!));
  }

  /**
   * The ids of a conversation up to the reply to its last message.
   *
   * @throws InputError for a conversation that the template rejects, or with bytes that the vocabulary lacks
   */
  ids(messages: readonly Message[]): number[] {
    const controlIds = new Map(Array.from(this.control.values(), ({ id, content }) => [id, content]));
    let continues = false;
    return this.sections(messages, true).flatMap((section) => {
      const follows = continues;
      continues = true;
      if ("id" in section) return [section.id];
      const ids = this.tokenizer.encode(section.text, {
        bos: false,
        continues: follows,
        plain: section.plain,
      });
      const merged = ids.find((id) => controlIds.has(id));
      if (merged === undefined) return ids;
      const name = formatValue(controlIds.get(merged));
      throw new InputError(
        `the messages must be text, but the tokenizer merges the control token ${name} from it`,
      );
    });
  }

  /** The control token that ends the assistant's messages, if there is one. A checkpoint's stop tokens may lack it. */
  endId(): number | undefined {
    const reply = "reply";
    const messages: Message[] = [
      { role: "user", content: "message" },
      { role: "assistant", content: reply },
    ];
    const sections = this.sections(messages, false);
    const last = sections.findLastIndex((section) => "text" in section && section.text.includes(reply));
    const end = sections.slice(last + 1).find((section) => "id" in section);
    return last < 0 ? undefined : end?.id;
  }

  /** Renders the conversation and finds the control tokens that the template wrote. */
  private sections(messages: readonly Message[], addGenerationPrompt: boolean): Section[] {
    const mark = unusedCharacter(this.template.text + messages.map(({ content }) => content).join(""));
    const marked = messages.map(({ role, content }) => ({ role, content: this.marked(content, mark) }));
    const rendered = this.template.render(marked, addGenerationPrompt);
    const sections: Section[] = [];
    const addText = (text: string) => {
      if (text !== "") sections.push({ text: text.replaceAll(mark, ""), plain: text.includes(mark) });
    };
    let end = 0;
    for (const { 0: found, index } of rendered.matchAll(this.pattern(mark))) {
      addText(rendered.slice(end, index));
      sections.push({ id: (this.control.get(found) ?? this.control.get(found.trim()))!.id });
      end = index + found.length;
    }
    addText(rendered.slice(end));
    return sections;
  }

  /**
   * A message with a mark before each position where a control token begins, or where one would if the template's text
   * followed or preceded. Whitespace at the ends stays outside of marks, as templates strip it.
   */
  private marked(content: string, mark: string): string {
    const start = content.length - content.trimStart().length;
    const body = content.trim();
    const names = [...this.control.keys()];
    const overlap = (text: string, name: string) => text.startsWith(name) || name.startsWith(text);
    const endsToken = names.some((name) =>
      Array.from(name, (_, i) => name.slice(i)).some((rest) => overlap(body, rest)),
    );
    let marked = content.slice(0, start);
    for (const [at, character] of body.split("").entries()) {
      const beginsToken =
        this.initials.has(character) && names.some((name) => overlap(body.slice(at, at + name.length), name));
      marked += (at === 0 && endsToken) || beginsToken ? mark + character : character;
    }
    return marked + content.slice(start + body.length);
  }

  /** Finds the longest control token at each position that is not marked, with the whitespace that it takes up. */
  private pattern(mark: string): RegExp {
    const space = "\\p{White_Space}*";
    const word = "[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}]";
    const alternatives = Array.from(this.control.values(), ({ content, lstrip, rstrip, singleWord }) => {
      const name = `(?<!${mark})${content.replaceAll(/[\\^$.*+?()[\]{}|/]/g, "\\$&")}`;
      const found = singleWord ? `(?<!${word})${name}(?!${word})` : name;
      return (lstrip ? space : "") + found + (rstrip ? space : "");
    });
    return new RegExp(alternatives.join("|") || "(?!)", "gu");
  }
}

/** A private-use character that a text lacks. */
function unusedCharacter(text: string): string {
  let code = 0xe000;
  while (text.includes(String.fromCharCode(code))) code++;
  return String.fromCharCode(code);
}
