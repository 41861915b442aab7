import { readFileSync } from "node:fs";
import { expect } from "chai";
import { fixture } from "../support.js";
import { run } from "./run-command.js";

// The main path of each command, in a process of its own. The *.full.test.ts files test what commands reject, Ctrl-C and
// closed outputs.

describe("npm start", () => {
  it("tells the tale twice and finds it identical", async () => {
    const { code, stdout } = await run("start", ["--max-gen-len", "12"]);
    expect(stdout.match(/^ {2}Once upon a time .+$/gm), stdout).to.have.length(2);
    expect(stdout).to.match(/^identical: both modes generated the same 12 tokens/m);
    expect(code).to.equal(0);
  });
});

describe("npm run generate -- --json", () => {
  const { cases } = JSON.parse(readFileSync(fixture("goldens/goldens.json"), "utf8")).checkpoints[
    "fairy-tales"
  ];
  const golden = cases.find(({ name }: { name: string }) => name === "once");
  const args = ["--json", "--temperature", "0", "--max-gen-len", "24"];

  it("gives transformers' greedy tokens, with the cache in a batch and without it alone", async () => {
    const [batch, uncached] = await Promise.all([
      run("generate", [...args, "--prompt", "Once upon a time", "--prompt", "The king"]),
      run("generate", [...args, "--no-kv-cache"]),
    ]);
    const documents = [batch, uncached].map(({ stdout }) => JSON.parse(stdout));
    for (const { results } of documents) {
      expect(results[0].promptTokens).to.deep.equal(golden.tokens);
      expect(results[0].tokens).to.deep.equal(golden.greedy.slice(0, 24));
    }
    expect(documents.map(({ useCache }) => useCache)).to.deep.equal([true, false]);
  });
});

describe("npm run trace", () => {
  it("prefills the shortest prompt's length, then passes one token per sequence or the whole prefix", async () => {
    const { code, stdout } = await run("trace");
    const ranges = [
      ...stdout.matchAll(/(With the KV cache|Without): prevPos:curPos = (\S+), (\S+) tokens? per sequence/g),
    ];
    expect(ranges.map(([, mode, range, tokens]) => [mode, range, tokens])).to.deep.equal([
      ["With the KV cache", "0:11", "11"],
      ["Without", "0:11", "11"],
      ["With the KV cache", "11:12", "1"],
      ["Without", "0:12", "12"],
      ["With the KV cache", "12:13", "1"],
      ["Without", "0:13", "13"],
    ]);
    expect(stdout).to.match(/^ {4}sequence 0 {2}\[".+"\] → \d+ ".*" \(from the (?:model|prompt)\)$/m); // with the cache
    expect(stdout).to.match(/^ {4}sequence 0 {2}".+" \[".+"\] → \d+ ".*" \(from the (?:model|prompt)\)$/m); // without
    expect(code).to.equal(0);
  });
});

describe("npm run compare", () => {
  it("exits with 0 when both modes agree", async () => {
    const prompts = ["--prompt", "Once upon a time", "--prompt", "The king"];
    const { code, stdout } = await run("compare", [...prompts, "--max-gen-len", "8"]);
    expect(stdout).to.match(/^identical: 16 tokens in \d+ steps; largest logit difference: \d/m);
    expect(code).to.equal(0);
  });

  it("exits with 1 and names the first difference when the rotary offset is wrong", async () => {
    const bug = ["--import", new URL("plant-rotary-bug.ts", import.meta.url).href];
    const { code, stdout } = await run("compare", ["--max-gen-len", "8"], bug);
    expect(stdout).to.match(
      /^different: sequence \d at position \d+, in step \d+\n +with the cache +\d+ ".*", logit margin \d/m,
    );
    expect(code).to.equal(1);
  });
});

describe("npm run chat", () => {
  it("replies, says how much it reused, and gives the same reply to the same message after /reset", async () => {
    const { code, stdout, stderr } = await run(
      "chat",
      ["--temperature", "0", "--max-gen-len", "8"],
      [],
      undefined,
      "Who is there?\nAnd then?\n/reset\nWho is there?\n/bye\nnot read\n",
    );
    const [first, , again, ...rest] = stdout.trimEnd().split("\n");
    expect(first).to.have.length.above(3);
    expect([again, rest]).to.deep.equal([first, []]);
    // The prompt, 18 tokens, and all tokens of the reply but the last were computed for the first reply.
    const reused = [...stderr.matchAll(/^prompt \d+ tokens, (\d+) reused from the KV cache/gm)].map(([, n]) =>
      Number(n),
    );
    expect(reused).to.deep.equal([0, 18 + 7, 17]); // after /reset, all of the same prompt but its last token
    expect(stderr).to.match(/conversation reset/);
    expect(code).to.equal(0);
  });
});

describe("npm run bench", () => {
  it("prints time and memory, what the cache saves, and that the tokens are identical", async () => {
    const small = ["--batch", "2", "--input", "8", "--output", "3", "--repeat", "1"];
    const { code, stdout, stderr } = await run("bench", small);
    expect(stdout.match(/^ +2 +(?:with|without) +1 +\d+\.\d\d +- +\d+\.\d /gm), stdout).to.have.length(2);
    // 5 layers, 2 key/value heads; the second and the third step find 8 and 9 positions.
    expect(stdout).to.match(/^ +2 +340 +340 +.*identical$/m);
    expect(stdout).to.match(/^tokens identical: 1 of 1 pairs/m);
    expect([code, stderr]).to.deep.equal([0, ""]);
  });
});

describe("npm run exercise", () => {
  it("grades a solution", async () => {
    const { code, stdout } = await run("exercise", ["1", "--solution"]);
    expect(stdout).to.contain("All checks pass");
    expect(code).to.equal(0);
  });
});
