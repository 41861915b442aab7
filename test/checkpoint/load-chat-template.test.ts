import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { InputError, loadChatTemplate } from "../../src/index.js";
import { expectRejection } from "../support.js";

describe("loadChatTemplate", () => {
  let directory: string;
  beforeEach(async () => (directory = await mkdtemp(join(tmpdir(), "template-"))));
  afterEach(() => rm(directory, { recursive: true }));

  const write = (name: string, content: unknown) =>
    writeFile(join(directory, name), typeof content === "string" ? content : JSON.stringify(content));
  const config = (json: unknown) => write("tokenizer_config.json", json);
  const rendered = async () => (await loadChatTemplate(directory)).render([], true);

  // Each as transformers 5.23 takes it.
  it("takes chat_template.jinja before tokenizer_config.json, and the default of several templates", async () => {
    await config({ chat_template: "config" });
    expect(await rendered()).to.equal("config");
    await config({
      chat_template: [
        { name: "tool_use", template: "tools" },
        { name: "default", template: "default" },
      ],
    });
    expect(await rendered()).to.equal("default");
    await write("chat_template.jinja", "file\r\n{{ 1 }}\r\n");
    expect(await rendered()).to.equal("file\n1");
  });

  it("passes the special tokens' names, special_tokens_map.json first unless the configuration is newer", async () => {
    const chat_template = "{{ bos_token }},{{ eos_token }},{{ pad_token is defined }}";
    const json = { chat_template, bos_token: "<s>", eos_token: { content: "</s>" }, pad_token: null };
    await config(json);
    expect(await rendered()).to.equal("<s>,</s>,false");
    await write("special_tokens_map.json", { bos_token: { content: "<b>" } });
    expect(await rendered()).to.equal("<b>,</s>,false");
    await config({ ...json, added_tokens_decoder: {} });
    expect(await rendered()).to.equal("<s>,</s>,false");
  });

  it("rejects a base model, malformed files, and a name that the template uses but no file has", async () => {
    const rejects = (message: RegExp) => expectRejection(loadChatTemplate(directory), InputError, message);
    await rejects(
      /^\S+ must have a chat template \(.*\), got none: it is a base model, use its instruct version$/,
    );
    await config({ chat_template: null });
    await rejects(/^\S+ must have a chat template/);
    await config({ chat_template: 5 });
    await rejects(
      /tokenizer_config\.json: chat_template must be a text, or a list with one named "default", got 5$/,
    );
    await config({ chat_template: "{{ bos_token }}" });
    await rejects(
      /bos_token must be the token's name or null, as the chat template uses it, but it is missing$/,
    );
    await config({ chat_template: "{% if %}" });
    await rejects(/^the chat template of \S+tokenizer_config\.json must be a Jinja template that/);
    await config("[]");
    await rejects(/tokenizer_config\.json must be a JSON object, got \[\]$/);
    await write("tokenizer_config.json", "{}");
    await writeFile(join(directory, "chat_template.jinja"), Buffer.from([0xff]));
    await rejects(/chat_template\.jinja must be UTF-8$/);
  });
});
