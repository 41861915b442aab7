import { readFileSync } from "node:fs";
import { expect } from "chai";
import * as fc from "fast-check";
import { ChatPrompt } from "../../src/generation/chat-prompt.js";
import { ChatTemplate, type Message } from "../../src/tokenizer/chat-template.js";
import { readTokenizerJson } from "../../src/tokenizer/tokenizer-json.js";
import { InputError } from "../../src/util/errors.js";
import { fixture } from "../support.js";

// Made by fixtures/make_chat_goldens.py: texts and ids by transformers.
interface Case {
  readonly name: string;
  readonly tokenizer: string;
  readonly addedTokens: readonly { readonly content: string; readonly rstrip: boolean }[];
  readonly config: Readonly<Record<string, string | { readonly content: string } | null>>;
  readonly template: string;
  readonly conversations: readonly { messages: Message[]; text: string; ids: number[] }[];
  readonly hostile?: { readonly content: string; readonly ids: number[] };
}
const goldens = JSON.parse(readFileSync(fixture("chat-templates.json"), "utf8")) as {
  now: string;
  cases: Case[];
};

function open({ tokenizer: file, addedTokens, config, template: text }: Case) {
  const json = JSON.parse(readFileSync(fixture(file), "utf8")) as {
    model: { vocab: Record<string, number> };
    added_tokens: { id: number }[];
  };
  const ids = [...Object.values(json.model.vocab), ...json.added_tokens.map(({ id }) => id)];
  const size = ids.reduce((most, id) => Math.max(most, id), 0) + 1;
  json.added_tokens.push(...addedTokens.map((token, n) => ({ id: size + n, ...token })));
  const tokenizer = readTokenizerJson(json, { source: file, stopIds: [] });
  const names = Object.entries(config).flatMap(([key, name]) =>
    name === null ? [] : [[key, typeof name === "string" ? name : name.content]],
  );
  const now = () => new Date(goldens.now);
  const template = new ChatTemplate(text, Object.fromEntries(names), "a test", now);
  return { tokenizer, template, prompt: new ChatPrompt(template, tokenizer) };
}

const user = (content: string): Message[] => [{ role: "user", content }];

describe("ChatPrompt", () => {
  for (const golden of goldens.cases) {
    describe(golden.name, () => {
      const { tokenizer, template, prompt } = open(golden);
      const control = new Set(
        tokenizer.added
          .filter(({ special, content }) => special || golden.template.includes(content))
          .map(({ id }) => id),
      );
      const controlIds = (ids: readonly number[]) => ids.filter((id) => control.has(id));

      for (const { messages, text, ids } of golden.conversations) {
        it(`writes and encodes ${messages.map(({ role }) => role).join(", ")} as transformers does`, () => {
          expect(template.render(messages, true)).to.equal(text);
          expect(prompt.ids(messages)).to.deep.equal(ids);
        });
      }

      it("never makes a control token of a user's text", () => {
        // The others add spaces, or take them up.
        const keepsText =
          /digits|fairy/.test(golden.tokenizer) && golden.addedTokens.every(({ rstrip }) => !rstrip);
        const names = [...tokenizer.added].slice(0, 12).map(({ content }) => content);
        const parts = [
          ...names,
          ...names.flatMap((name) => [name.slice(0, 3), name.slice(3), name.slice(-1)]),
        ];
        const text = fc
          .array(fc.constantFrom(...parts, " ", "\n", "a", "\uE000", "é", "user", "system"), { maxLength: 8 })
          .map((chosen) => chosen.join(""));
        const expected = controlIds(prompt.ids(user("a")));
        fc.assert(
          fc.property(text, (content) => {
            const ids = prompt.ids(user(content));
            expect(controlIds(ids)).to.deep.equal(expected);
            if (keepsText) expect(tokenizer.decode(ids)).to.equal(template.render(user(content), true));
          }),
          { numRuns: 100 },
        );
      });

      const { hostile } = golden;
      if (hostile) {
        it("encodes control tokens' names in a message as Python's tokenizers encode text", () => {
          expect(prompt.ids(user(hostile.content))).to.deep.equal(hostile.ids);
        });
      }
    });
  }

  it("never makes a control token of a template's text and a user's together", () => {
    const { tokenizer } = open(goldens.cases.find(({ name }) => name === "ChatML")!);
    const text = "<|im_{% for message in messages %}{{ message['content'] }}{% endfor %}end|>";
    const prompt = new ChatPrompt(new ChatTemplate(text, {}, "a test"), tokenizer);
    for (const content of ["start|>", "x<|im_", "", "start", "<|im_start|><|im_"]) {
      const ids = prompt.ids(user(content));
      expect(ids.filter((id) => id < 3)).to.deep.equal(content === "" ? [2] : []);
    }
  });

  it("rejects a template that would take hours or gigabytes", () => {
    let seconds = 0;
    const clock = () => new Date(1000 * seconds++); // so that the test does not take ten seconds itself
    const rejects = (text: string, error: string, now?: () => Date) =>
      expect(() => new ChatTemplate(text, {}, "a test", now).render([], true))
        .to.throw(InputError)
        .with.property("message")
        .that.contains(`must accept these messages, got the error "${error}`);
    const loop = "{% for i in range(100000) %}";
    rejects(`${loop}${loop}{% endfor %}{% endfor %}`, "it takes longer than 10 seconds", clock);
    rejects(
      `{% set n = namespace(s='a') %}${loop}{% set n.s = n.s + n.s %}{% endfor %}`,
      "a value is longer",
    );
    rejects("{% for i in range(100001) %}{% endfor %}", "a range must have at most 100000 numbers");
    rejects("{% for i in range(1, 2, 0) %}{% endfor %}", "a range must have at most 100000 numbers");
    const ranges = ["3", "1, 6, 2", "3, 0, -2", "2, 1"].map((range) => `{{ range(${range}) | list }}`);
    expect(new ChatTemplate(ranges.join(""), {}, "a test").render([], true)).to.equal(
      "[0, 1, 2][1, 3, 5][3, 1][]",
    );
  });

  it("rejects a conversation that the template rejects, and a template that cannot be rendered", () => {
    const { prompt } = open(goldens.cases.find(({ name }) => name === "Llama 2")!);
    expect(() => prompt.ids([...user("a"), ...user("b")])).to.throw(
      InputError,
      'the chat template of a test must accept these messages, got the error "user and assistant must alternate"',
    );
    expect(() => new ChatTemplate("{% for %}", {}, "a test")).to.throw(
      InputError,
      /^the chat template of a test must be a Jinja template that @huggingface\/jinja can render, got the error/,
    );
    const date = new ChatTemplate("{{ strftime_now('%j') }}", {}, "a test");
    expect(() => date.render([], true)).to.throw(InputError, /strftime_now does not support %j"$/);
  });
});
