import { readFileSync } from "node:fs";
import { expect } from "chai";
import { ChatPrompt } from "../src/generation/chat-prompt.js";
import { Conversation, generate, GraphLlama, loadChatTemplate, loadCheckpoint } from "../src/index.js";
import type { Message } from "../src/tokenizer/chat-template.js";
import type { Tokenizer } from "../src/tokenizer/tokenizer.js";
import { expectClose, onEveryExecution, type TestModel } from "./support.js";

// Compares any checkpoint with transformers' outputs for it, which fixtures/checkpoint_goldens.py writes:
//     CHECKPOINT=directory GOLDENS=file npx mocha test/real-checkpoint.test.ts
const { CHECKPOINT: directory, GOLDENS: file } = process.env;

/** The number of tokens that fixtures/checkpoint_goldens.py generates. */
const NEW_TOKENS = 32;

interface Case {
  readonly prompt: string;
  readonly ids: number[];
  readonly greedy: number[];
  readonly logits: number[];
}

/** A message of a conversation, the prompt's ids and the reply. */
interface Exchange {
  readonly message: string;
  readonly ids: number[];
  readonly reply: string;
}

if (directory && file) {
  onEveryExecution(`Goldens from transformers: ${directory}`, (executed) => {
    const { cases, chat } = JSON.parse(readFileSync(file, "utf8")) as { cases: Case[]; chat: Exchange[] };
    const longest = Math.max(...cases.map(({ ids }) => ids.length));
    let model: TestModel;
    let tokenizer: Tokenizer;
    before(async function () {
      this.timeout(0);
      const checkpoint = await loadCheckpoint(directory);
      tokenizer = checkpoint.tokenizer;
      model = executed(checkpoint.model);
      if (model instanceof GraphLlama) model.prepare(1, longest + NEW_TOKENS); // once, and not for each prompt
    });
    after(() => model.dispose());

    for (const { prompt, ids, greedy, logits } of cases) {
      it(JSON.stringify(prompt), async function () {
        this.timeout(0);
        expect(tokenizer.encode(prompt)).to.deep.equal(ids);
        const [completion] = await generate(model, tokenizer, [prompt], {
          maxGenLen: NEW_TOKENS,
          temperature: 0,
        });
        expect(completion!.tokens).to.deep.equal(greedy);
        const actual = model.forward([[...ids, ...greedy].slice(0, -1)]);
        expectClose(actual.dataSync(), logits, 1e-3, "the last logits");
        actual.dispose();
      });
    }

    if (chat.length > 0) {
      it("converses as transformers does, and computes only what is new", async function () {
        this.timeout(0);
        const template = await loadChatTemplate(directory);
        const prompt = new ChatPrompt(template, tokenizer);
        const conversation = new Conversation(model, tokenizer, template, 512);
        const messages: Message[] = [];
        let previous = 0;
        for (const { message, ids, reply } of chat) {
          messages.push({ role: "user", content: message });
          expect(prompt.ids(messages)).to.deep.equal(ids);
          let text = "";
          const deltas = conversation.reply(message, { temperature: 0, maxGenLen: NEW_TOKENS });
          let next = await deltas.next();
          for (; !next.done; next = await deltas.next()) text += next.value;
          expect(text).to.equal(reply);
          expect(next.value.promptTokens).to.equal(ids.length);
          if (previous > 0) expect(next.value.reused).to.be.at.least(previous);
          previous = ids.length;
          messages.push({ role: "assistant", content: reply });
        }
        conversation.dispose();
      });
    }
  });
}

describe("CHECKPOINT and GOLDENS", () => {
  const sentence = (set: string, missing: string) =>
    `CHECKPOINT and GOLDENS must be set together, got ${set} without ${missing}`;

  // In a test, because mocha reports an error during loading of the file as one of syntax.
  it("are set together or not at all", () => {
    if (directory && !file) throw new Error(sentence("CHECKPOINT", "GOLDENS"));
    if (file && !directory) throw new Error(sentence("GOLDENS", "CHECKPOINT"));
  });
});
