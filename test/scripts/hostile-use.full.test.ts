import type { Model } from "../../src/index.js";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { chmod, cp, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { interruptible, listen } from "../../scripts/interrupt.js";
import { escapeControl } from "../../scripts/terminal.js";
import { PRESETS } from "../../src/model/presets.js";
import { fixture, itOnPosix } from "../support.js";
import { type Result, run } from "./run-command.js";

/** Terminal control characters, except line feed. */
const CONTROL = /[^\P{Cc}\n]/u;

/** A directory and its files, with every attribute that writing would change. */
function listing(directory: string): object[] {
  return [".", ...readdirSync(directory)].map((name) => {
    const { size, mode, mtimeMs, ctimeMs } = statSync(join(directory, name));
    return { name, size, mode, mtimeMs, ctimeMs };
  });
}

describe("A command under hostile use", () => {
  /** Starts a command, and interrupts it once its output matches `ready` or after `ready` milliseconds. */
  async function interrupted(
    command: string,
    args: readonly string[],
    ready: RegExp | number,
  ): Promise<Result> {
    let stdout = "";
    return run(command, args, [], (output, child) => {
      if (typeof ready === "number") setTimeout(() => child.kill("SIGINT"), ready);
      else {
        output.on("data", (data: Buffer) => {
          stdout += String(data);
          if (ready.test(stdout) && !child.killed) child.kill("SIGINT"); // once, because a second one ends it immediately
        });
      }
    });
  }

  itOnPosix("ends a generation on Ctrl-C with code 130 and one word", async () => {
    const eager = ["--execution", "eager"]; // in graph mode, Ctrl-C during a call ends the process by the signal
    const { code, stdout, stderr } = await interrupted(
      "generate",
      ["--max-gen-len", "400", "--no-kv-cache", ...eager],
      /time/,
    );
    expect(stderr.trim()).to.equal("interrupted");
    expect(code).to.equal(130);
    expect(stdout).to.match(/^Once upon a time/);
  });

  it("lets Ctrl-C end the process during a long step, which cannot be stopped", () => {
    const listeners = () => process.listenerCount("SIGINT");
    let during: number | undefined;
    const forward = () => {
      during = listeners();
      return undefined as never;
    };
    const config = PRESETS["llama-3.2-1b"]!;
    const model = interruptible<Model>({ config, forward, createCache: () => undefined as never });
    model.forward([[1, 2, 3, 4, 5, 6]]);
    expect(during).to.equal(listeners()); // unchanged without listeners
    const before = process.listeners("SIGINT");
    listen();
    const listening = listeners();
    model.forward([[1, 2, 3]]);
    expect(during).to.equal(listening);
    model.forward([[1, 2, 3, 4, 5, 6]]);
    expect(during).to.equal(listening - 1);
    expect(listeners()).to.equal(listening);
    for (const listener of process.listeners("SIGINT"))
      if (!before.includes(listener)) process.off("SIGINT", listener);
  });

  itOnPosix("ends on Ctrl-C at any moment, with code 130 or by the signal", async () => {
    for (const moment of [100, 400, 700, 1000, 1300]) {
      const { code, stdout, stderr } = await interrupted("compare", ["--max-gen-len", "300"], moment); // takes many seconds
      expect(code, stderr).to.be.oneOf([130, null]); // null: the signal came before the listener
      expect(stdout).not.to.match(/identical|different/);
    }
  });

  itOnPosix("leaves complete results and no temporary file on Ctrl-C during a measurement", async () => {
    const directory = await mkdtemp(join(tmpdir(), "interrupted-"));
    await writeFile(join(directory, "bench.json"), '"earlier results"');
    const args = [
      "--batch",
      "1",
      "--input",
      "200",
      "--output",
      "32",
      "--json",
      join(directory, "bench.json"),
    ];
    const { code } = await interrupted("bench", args, /./);
    expect(code).to.equal(130);
    JSON.parse(readFileSync(join(directory, "bench.json"), "utf8")); // the earlier results, or those so far
    expect((await readdir(directory)).filter((name) => /tmp|part/.test(name))).to.deep.equal([]);
    await rm(directory, { recursive: true });
  });

  it("escapes control characters in text, and in errors about a file", async () => {
    expect(escapeControl("a\tb\n\x1b[2J\u009b\x7f\r é")).to.equal("a\tb\n\\x1b[2J\\x9b\\x7f\\x0d é");
    const directory = await mkdtemp(join(tmpdir(), "escapes-"));
    await writeFile(join(directory, "config.json"), '{"model_type": \x1b[2J }');
    const { code, stderr } = await run("generate", ["--checkpoint", directory]);
    expect(stderr).to.match(/^error: \S+config\.json must be valid JSON: [\x20-\x7e]*\n$/);
    expect(code).to.equal(1);
    await rm(directory, { recursive: true });
  });

  it("escapes control characters in JSON and in quoted text", async () => {
    const prompt = "a king\u009b31m";
    const plant = (name: string) => ["--import", new URL(`plant-${name}.ts`, import.meta.url).href];
    const short = ["--max-gen-len", "3", "--temperature", "0"];
    const [generated, traced, compared] = await Promise.all([
      run("generate", ["--json", "--prompt", prompt, ...short]),
      run("trace", ["--prompt", prompt, ...short]),
      run("compare", ["--max-gen-len", "8"], [...plant("rotary-bug"), ...plant("control-character")]),
    ]);
    expect(JSON.parse(generated.stdout).results[0].prompt).to.equal(prompt);
    expect(traced.stdout).to.include('king\\u009b31m"');
    expect(compared.stdout).to.include('"\\u009b31m"');
    for (const { stdout } of [generated, traced, compared]) expect(stdout).not.to.match(CONTROL);
  });

  it("reads a read-only checkpoint in two processes without changing it", async () => {
    const directory = await mkdtemp(join(tmpdir(), "shared-"));
    await cp(fixture("fairy-tales"), directory, { recursive: true });
    for (const name of await readdir(directory)) await chmod(join(directory, name), 0o444);
    await chmod(directory, 0o555); // does not stop root from writing
    const before = listing(directory);
    const args = ["--checkpoint", directory, "--max-gen-len", "12", "--temperature", "0", "--json"];
    const results = await Promise.all([run("generate", args), run("generate", args)]);
    const [a, b] = results.map(({ stdout }) => JSON.parse(stdout).results);
    expect(a).to.deep.equal(b);
    expect(listing(directory)).to.deep.equal(before);
    await chmod(directory, 0o755);
    await rm(directory, { recursive: true });
  });
});
