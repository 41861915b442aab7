import { Conversation, InputError, loadChatTemplate, loadCheckpoint } from "../../src/index.js";
import { expectRejection, fixture, onOneBackend } from "../support.js";

onOneBackend("Conversation", () => {
  it("rejects a message of a million tokens in one sentence", async () => {
    const { model, tokenizer } = await loadCheckpoint(fixture("fairy-tales"));
    const template = await loadChatTemplate(fixture("fairy-tales"));
    const conversation = new Conversation(model, tokenizer, template, 256);
    const message = /must fit in 256 tokens with its reply, got \d{6,} with this message/;
    await expectRejection(conversation.reply("\u0001 ".repeat(500_000)).next(), InputError, message);
    conversation.dispose();
    model.dispose();
  });
});
