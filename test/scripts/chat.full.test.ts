import { type ChildProcess, spawnSync } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { expect } from "chai";
import { fixture } from "../support.js";
import { env, type Result, root, run } from "./run-command.js";

describe("npm run chat", () => {
  const chat = (lines: readonly string[], args: readonly string[] = []): Promise<Result> =>
    run(
      "chat",
      ["--temperature", "0", "--max-gen-len", "8", ...args],
      [],
      undefined,
      lines.map((line) => `${line}\n`).join(""),
    );

  it("continues after a message that does not fit, and after an unknown command", async () => {
    const { code, stdout, stderr } = await chat(["a king ".repeat(90), "/what", "Hi"], ["--context", "64"]);
    expect(stderr).to.match(
      /error: the conversation must fit in 64 tokens with its reply, got \d+ with this message: send a shorter message/,
    );
    expect(stderr).to.match(/error: unknown command "\/what": use \/reset or \/bye, or \/\/ for a message/);
    expect(stdout.trim()).to.have.length.above(3);
    expect(code).to.equal(0);
  });

  it("replies with the smallest context that it accepts", async () => {
    const { code, stdout, stderr } = await chat(["a"], ["--context", "15"]);
    expect(stderr).to.match(
      /^prompt 14 tokens, 0 reused from the KV cache; reply 1 in .*; 15 of 15; reply truncated$/m,
    );
    expect([code, stdout.trim().length > 0]).to.deep.equal([0, true]);
  });

  it('takes lines between two of """ as one message, // as /, and ends lines only at \\n', async () => {
    const typed = ['"""', "a", "", "/b", '"""', "//bye", "c\u2028d\u2029e\x85f\rg", " ", "h"];
    const { code, stderr } = await chat(typed);
    expect(stderr.match(/^prompt .*/gm), stderr).to.have.length(4);
    expect(code).to.equal(0);
    const open = await chat(['"""', "a"]);
    expect(open.stderr).to.match(
      /error: a message of several lines must end with """, got the end of the input\n$/,
    );
    expect([open.code, open.stdout]).to.deep.equal([1, ""]);
  });

  it("ends the reply on the first Ctrl-C and the chat on the second", async () => {
    const interrupt = (output: Readable, child: ChildProcess) => {
      output.once("data", () => child.kill("SIGINT"));
      child.stderr!.on("data", (data: Buffer) => {
        if (/reply interrupted/.test(String(data))) child.kill("SIGINT");
      });
    };
    const args = ["--temperature", "0", "--max-gen-len", "500"];
    const { code, stderr } = await run("chat", args, [], interrupt, "Once upon a time\n", false);
    expect(stderr).to.match(/^reply interrupted; Ctrl-C again ends the chat$/m);
    expect(stderr).to.match(/\ninterrupted\n$/);
    expect(code).to.equal(130);
  });

  it("rejects a base model, which has no chat template, by name", async () => {
    const copy = await mkdtemp(join(tmpdir(), "base-"));
    try {
      await cp(fixture("fairy-tales"), copy, { recursive: true });
      await rm(join(copy, "tokenizer_config.json"));
      const { code, stdout, stderr } = await chat(["Hi"], ["--checkpoint", copy]);
      expect(stderr).to.equal(
        `error: ${copy} must have a chat template (chat_template.jinja, or chat_template in tokenizer_config.json), ` +
          "got none: it is a base model, use its instruct version\n",
      );
      expect([code, stdout]).to.deep.equal([1, ""]);
    } finally {
      await rm(copy, { recursive: true });
    }
  });

  it("rejects a directory as input", () => {
    const directory = openSync("/", "r");
    const node = ["--import", "tsx", "scripts/chat.ts"];
    const { status, stdout, stderr } = spawnSync(process.execPath, node, {
      cwd: root,
      env,
      stdio: [directory, "pipe", "pipe"],
    });
    closeSync(directory);
    expect(`${stderr}`).to.equal("error: the input must be text or a terminal, got a directory\n");
    expect([status, `${stdout}`]).to.deep.equal([1, ""]);
  });

  for (const [option, sentence] of [
    ["--temperature=-1", /^error: --temperature must be a number >= 0, got "-1"\n$/],
    ["--top-p=0", /^error: --top-p must be a number > 0 and <= 1, got "0"\n$/],
    ["--context=1025", /^error: --context must be at most the model's 1024, got 1025\n$/],
    [
      "--context=14",
      /^error: a conversation's capacity must be at least 15 tokens, for the chat template, a message and a reply, got 14\n$/,
    ],
    [
      `--system=${"a king ".repeat(1000)}`,
      /^error: a conversation's capacity must be at least \d{4} tokens, .* the system message, a message and a reply, got 1024\n$/,
    ],
    ["--seed=1.5", /^error: --seed must be a whole number from 0 to \d+, got "1\.5"\n$/],
  ] as const) {
    it(`rejects ${option.slice(0, 20)} before the first message`, async () => {
      const { code, stdout, stderr } = await chat(["Who is there?"], [option]);
      expect(stderr).to.match(sentence);
      expect([code, stdout]).to.deep.equal([1, ""]);
    });
  }
});
