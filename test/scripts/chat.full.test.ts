import { spawnSync } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { expect } from "chai";
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
      /error: the conversation must fit in 64 tokens with its reply, got 0 so far and \d+ with this message: send a shorter message/,
    );
    expect(stderr).to.match(/error: unknown command "\/what": use \/reset or \/bye/);
    expect(stdout.trim()).to.have.length.above(3);
    expect(code).to.equal(0);
  });

  it("replies with the smallest context that it accepts", async () => {
    const { code, stdout, stderr } = await chat(["a"], ["--context", "16"]);
    expect(stderr).to.match(/\b16 tokens in .*, 16 of 16/m);
    expect([code, stdout.trim().length > 0]).to.deep.equal([0, true]);
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
    [
      "--temperature=-1",
      /^error: option '--temperature <t>' argument '-1' is invalid\. Expected a number >= 0\.\n$/,
    ],
    [
      "--top-p=0",
      /^error: option '--top-p <p>' argument '0' is invalid\. Expected a number > 0 and <= 1\.\n$/,
    ],
    ["--context=1025", /^error: --context must be at most the model's 1024, got 1025\n$/],
    [
      "--context=15",
      /^error: a conversation's capacity must be at least 16 tokens, for the chat format, a message and a reply, got 15\n$/,
    ],
    [
      `--system=${"a king ".repeat(1000)}`,
      /^error: a conversation's capacity must be at least \d{4} tokens, .* the system message, a message and a reply, got 1024\n$/,
    ],
    [
      "--seed=1.5",
      /^error: option '--seed <n>' argument '1\.5' is invalid\. Expected a whole number from 0 to \d+\.\n$/,
    ],
  ] as const) {
    it(`rejects ${option.slice(0, 20)} before the first message`, async () => {
      const { code, stdout, stderr } = await chat(["Who is there?"], [option]);
      expect(stderr).to.match(sentence);
      expect([code, stdout]).to.deep.equal([1, ""]);
    });
  }
});
