import { type ChildProcess, spawnSync } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { expect } from "chai";
import { fixture, itOnPosix } from "../support.js";
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
    expect(stderr).to.match(
      /error: unknown command "\/what": use \/reset, \/regen or \/bye, or \/\/ for a message/,
    );
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

  it("regenerates a reply with another seed, and rejects to without a reply", async () => {
    const args = ["--temperature", "1"];
    const { stdout, stderr, code } = await chat(["/regen", "A king", "/regen", "/regen"], args);
    expect(stderr).to.match(/error: a conversation must have a reply to regenerate, got none/);
    const replies = stdout.trim().split(/\n+/);
    expect(new Set(replies).size).to.be.above(1);
    const reused = [...stderr.matchAll(/^prompt (\d+) tokens, (\d+) reused/gm)].map(
      ([, n, r]) => Number(n) - Number(r),
    );
    expect(reused.slice(1)).to.deep.equal([1, 1]);
    expect(code).to.equal(0);
  });

  it("continues a saved conversation, and rejects one of another checkpoint or system message", async () => {
    const directory = await mkdtemp(join(tmpdir(), "session-"));
    try {
      const file = join(directory, "tale.session");
      const args = ["--session", file, "--backend", "wasm"];
      const whole = await chat(["A king", "And then?"], ["--backend", "wasm", "--system", "Tell tales."]);
      const first = await chat(["A king"], [...args, "--system", "Tell tales."]);
      const second = await chat(["And then?"], args);
      expect(first.stdout + second.stdout).to.equal(whole.stdout);
      expect(second.stderr).to.match(/^3 messages and \d+ positions restored from /m);
      const [, reused] = /(\d+) reused from the KV cache/.exec(second.stderr)!;
      expect(Number(reused)).to.be.above(20);
      const other = await chat(["Hi"], [...args, "--system", "Be brief."]);
      expect([other.code, other.stdout]).to.deep.equal([1, ""]);
      expect(other.stderr).to.match(/^error: --system must be that of the conversation in /m);
      const paged = await chat(["Hi"], [...args, "--cache", "paged"]);
      expect(paged.stderr).to.equal("error: --cache must be plain with --session, got paged\n");
      const cache = await run("generate", [
        "--backend",
        "wasm",
        "--cache-file",
        `${file}2`,
        "--max-gen-len",
        "2",
      ]);
      expect(cache.code).to.equal(0);
      const wrong = await chat(["Hi"], ["--backend", "wasm", "--session", `${file}2`]);
      expect(wrong.stderr).to.match(
        /^error: .*2 must hold a conversation, got a cache that `chat` did not save$/m,
      );
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  itOnPosix("ends the reply on the first Ctrl-C and the chat on the second", async () => {
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
