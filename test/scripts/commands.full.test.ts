import { spawnSync } from "node:child_process";
import { cp, mkdtemp, open, rm, truncate, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { fixture } from "../support.js";
import { env, root, run } from "./run-command.js";

describe("npm run generate -- --json", () => {
  const args = ["--json", "--temperature", "0", "--max-gen-len", "24"];
  const prompts = [
    "Once upon a time",
    "The king",
    "There was once a poor woodcutter who lived by the forest",
  ];
  const three = prompts.flatMap((prompt) => ["--prompt", prompt]);

  it("gives the same document for three prompts in both modes, and nothing else on stdout", async () => {
    const [cached, uncached] = await Promise.all([
      run("generate", [...args, ...three]),
      run("generate", [...args, ...three, "--no-kv-cache"]),
    ]);
    const [a, b] = [JSON.parse(cached.stdout), JSON.parse(uncached.stdout)];
    expect(a.results).to.deep.equal(b.results);
    expect(a.results.map(({ prompt }: { prompt: string }) => prompt)).to.deep.equal(prompts);
    const keys = ["backend", "device", "execution", "dtype", "useCache", "results", "seconds"];
    expect(Object.keys(a)).to.deep.equal(keys);
    expect(Object.keys(a.results[0])).to.deep.equal([
      "prompt",
      "promptTokens",
      "tokens",
      "completion",
      "stopReason",
    ]);
    expect(a.seconds).to.be.above(0);
  });
});

describe("npm run generate", () => {
  it("names in one sentence what TensorFlow had no memory for", async () => {
    const planted = ["--import", new URL("plant-out-of-memory.ts", import.meta.url).href];
    const { code, stderr } = await run("generate", ["--max-gen-len", "4"], planted);
    expect(stderr).to.match(
      /^error: TensorFlow ran out of memory allocating a float tensor of shape \[8,1024,49152\] on GPU:0: use .*\n$/,
    );
    expect(code).to.equal(1);
  });

  it("samples the same text for the same seed, another for another", async () => {
    const args = (seed: string) => ["--max-gen-len", "16", "--seed", seed];
    const [a, b, c] = await Promise.all(["1", "1", "2"].map((seed) => run("generate", args(seed))));
    expect(a!.stdout).to.equal(b!.stdout);
    expect(a!.stdout).not.to.equal(c!.stdout);
    expect(a!.stdout).to.match(/^Once upon a time/);
  });
});

describe("npm run trace", () => {
  it("ends without an error when its reader has seen enough", async () => {
    const { code, stdout, stderr } = await run("trace", [], [], (output) =>
      output.once("data", () => output.destroy()),
    );
    expect([code, stderr]).to.deep.equal([0, ""]);
    expect(stdout).not.to.match(/Iteration 3/);
  });
});

describe("npm run bench -- --study host-time", () => {
  it("counts the operations of a decode step", async () => {
    const { code, stdout } = await run("bench", ["--study", "host-time", "--past", "8", "--steps", "2"]);
    expect(stdout).to.match(/^ off +1 +eager +\d{3} +[\d.]+ +\d+ +[\d.]+ +[\d.]+$/m);
    expect(stdout).to.match(/^ +10 +KVCacheWrite$/m); // keys and values of 5 layers
    expect(code).to.equal(0);
  });
});

describe("npm run bench -- --study roofline", () => {
  it("compares prefill and decode with their matmuls, and decode with its weight-read time", async () => {
    const sizes = ["--config", "bundled", "--rounds", "1"];
    const { code, stdout } = await run("bench", ["--study", "roofline", ...sizes]);
    expect(stdout).to.match(/^prefill of 256( +[\d.]+){3} +$/m);
    expect(stdout).to.match(/^ +decode step( +[\d.]+){5}$/m);
    expect(code).to.equal(0);
  });

  it("rejects a model that does not fit, in one sentence", async () => {
    const { code, stderr } = await run("bench", ["--study", "roofline", "--config", "llama-3.2-1b"]);
    expect(stderr).to.match(
      /^error: the model llama-3\.2-1b must fit in [\d.]+ GiB on backend wasm [^\n]*\n$/,
    );
    expect(code).to.equal(1);
  });
});

describe("npm run bench -- --study cache-write", () => {
  it("times three ways on each backend, which agree", async () => {
    const sizes = ["--repeat", "1"];
    const { code, stdout } = await run("bench", [
      "--study",
      "cache-write",
      "--backends",
      "wasm,cpu",
      ...sizes,
    ]);
    for (const way of ["concat", "scatter", "in place"])
      expect(stdout.match(new RegExp(`^ *(wasm|cpu) +${way}( +[\\d.]+){4}$`, "gm")), stdout).to.have.length(
        2,
      );
    expect(code).to.equal(0);
  });

  it("rejects an unknown backend before it measures another, in one sentence", async () => {
    const { code, stdout, stderr } = await run("bench", [
      "--study",
      "cache-write",
      "--backends",
      "wasm,abacus",
    ]);
    expect(stderr).to.match(
      /^error: --backends must be a comma-separated list of tensorflow, wasm, cpu, got "wasm,abacus"\n$/,
    );
    expect([code, stdout]).to.deep.equal([1, ""]);
  });
});

describe("npm run bench -- --study leaks", () => {
  it("finds no leak in decode steps", async () => {
    const { code, stdout } = await run("bench", ["--study", "leaks", "--steps", "300"]);
    expect(stdout.match(/^ +\d+ +\d+ +[\d.]+ MB +[\d.]+ MB$/gm)).to.have.length(10);
    expect(stdout).to.match(/^tensors did not grow/m);
    expect(code).to.be.oneOf([0, 1]); // what else is in the process is not this test's to judge
  });
});

describe("Every command", () => {
  it("rejects an option that npm took for itself", () => {
    const asked = { ...env, npm_config_kv_cache: "", npm_config_json: "true" }; // as `npm run generate --no-kv-cache` sets it
    const script = ["--import", "tsx", "scripts/generate.ts", "--max-gen-len", "1"];
    const { stderr, status } = spawnSync(process.execPath, script, {
      cwd: root,
      env: asked,
      encoding: "utf8",
    });
    expect(stderr).to.equal(
      "error: --no-kv-cache was taken by npm: put -- before it, as in npm run generate -- --no-kv-cache\n",
    );
    expect(status).to.equal(1);
  });

  const modelStudies = ["host-time", "execution"].map((name) => `bench --study ${name}`);
  const withModel = ["start", "generate", "trace", "compare", "chat", "bench", ...modelStudies];
  const without = ["download", "doctor", "setup-tensorflow", "assemble-wasm"];
  const studies = ["roofline", "leaks", "cache-write", "gpu", "baselines", "report"].map(
    (name) => `bench --study ${name}`,
  );
  for (const command of [...withModel, ...without, ...studies]) {
    it(`${command} --help fits 80 columns and lists the options`, async () => {
      const [script, ...words] = command.split(" ") as [string, ...string[]];
      const { code, stdout } = await run(script, [...words, "--help"]);
      if (withModel.includes(command)) expect(stdout).to.match(/--checkpoint <dir>[\s\S]*--backend <name>/);
      expect(stdout).to.match(/-h, --help/);
      expect(stdout.split("\n").filter((line) => line.length > 80)).to.deep.equal([]);
      expect(code).to.equal(0);
    });
  }
});

describe("Every command rejects", () => {
  let directory: string;
  before(async () => (directory = await mkdtemp(join(tmpdir(), "commands-"))));
  after(() => rm(directory, { recursive: true }));

  /** A copy of the bundled model with something wrong. */
  async function broken(name: string, damage: (copy: string) => Promise<unknown>): Promise<string> {
    const copy = join(directory, name);
    await cp(fixture("fairy-tales"), copy, { recursive: true });
    await damage(copy);
    return copy;
  }

  async function fails(args: readonly string[], message: RegExp, command = "generate"): Promise<void> {
    const { code, stdout, stderr } = await run(command, args);
    expect(stderr).to.match(message);
    expect(stderr.trim().split("\n"), stderr).to.have.length(1);
    expect(stderr).not.to.match(/\bat .*:\d+:\d+/);
    expect([code, stdout]).to.deep.equal([1, ""]);
  }

  it("a directory that does not exist", () =>
    fails(
      ["--checkpoint", "no/such/model"],
      /^error: no\/such\/model must be a Hugging Face model directory .*, but does not exist; npm run download -- OWNER\/NAME downloads one\n$/,
    ));
  it("a directory without a tokenizer", async () => {
    const copy = await broken("no-tokenizer", async (path) => {
      await unlink(join(path, "tokenizer.model"));
      await unlink(join(path, "tokenizer.json"));
    });
    await fails(
      ["--checkpoint", copy],
      /^error: .*no-tokenizer must hold tokenizer\.model or tokenizer\.json, got neither/,
    );
  });
  for (const file of ["config.json", "model.safetensors"]) {
    it(`a directory without ${file}`, async () => {
      const copy = await broken(`no-${file}`, (path) => unlink(join(path, file)));
      await fails(["--checkpoint", copy], new RegExp(`^error: .*${file} is missing`));
    });
  }
  it("a truncated safetensors file", async () => {
    const copy = await broken("truncated", (path) => truncate(join(path, "model.safetensors"), 1_000_000));
    await fails(
      ["--checkpoint", copy],
      /^error: .*model.safetensors: the file must end at byte \d+, where .* ends, got 1000000 bytes; it is truncated/,
    );
  });
  it("weights that are not numbers", async () => {
    const copy = await broken("nan", async (path) => {
      const file = await open(join(path, "model.safetensors"), "r+");
      const { size } = await file.stat();
      await file.write(new Uint8Array([0xc0, 0x7f]), 0, 2, size - 2); // bfloat16's NaN
      await file.close();
    });
    await fails(
      ["--checkpoint", copy],
      /^error: .*: the \d+ numbers of tensor model\.norm\.weight must be finite, got NaN at index \d+/,
    );
  });
  it("weights in several files, whose index names none", async () => {
    const copy = await broken("sharded", async (path) => {
      await unlink(join(path, "model.safetensors"));
      await writeFile(join(path, "model.safetensors.index.json"), "{}");
    });
    await fails(["--checkpoint", copy], /^error: .*index\.json: weight_map must be /);
  });
  it("more positions than the context has, to host-time", () =>
    fails(
      ["--study", "host-time", "--past", "1000"],
      /^error: --past .* must be within .* context of 1024 positions, got 1000 \+ 97 = 1097\n$/,
      "bench",
    ));
  it("no steps, to host-time", () =>
    fails(["--study", "host-time", "--steps", "0"], /^error: --steps must be .*, got "0"/, "bench"));
  it("a config that is not JSON", async () => {
    const copy = await broken("not-json", (path) => writeFile(join(path, "config.json"), "{"));
    await fails(["--checkpoint", copy], /^error: .*config.json must be valid JSON/);
  });
  it("an unknown backend", () =>
    fails(["--backend", "cuda"], /^error: --backend must be one of .*, got "cuda"/));
  it("a temperature below 0", () =>
    fails(["--temperature", "-1"], /^error: --temperature must be a number >= 0, got "-1"/));
  it("a seed that is not a number", () => fails(["--seed", "abc"], /^error: --seed must be .*, got "abc"/));
  it("no tokens to generate, before the model is loaded", () =>
    fails(
      ["--max-gen-len", "0"],
      /^error: --max-gen-len must be a whole number from 1 to 1000000, got "0"\n$/,
      "start",
    ));
  it("layers below 0", () =>
    fails(
      ["--layers", "0,-1"],
      /^error: --layers must be whole numbers from 0 to \d+, comma-separated, got "0,-1"/,
      "trace",
    ));
  it("a prompt longer than the context", () =>
    fails(
      ["--prompt", "a king ".repeat(2000)],
      /^error: prompt \+ maxGenLen must be within the model's context of \d+ tokens, got \d+ \+ 64 = \d+ for prompt 0\n$/,
    ));
  it("an unknown option", () =>
    fails(["--kv-cache-off"], /^error: unknown option '--kv-cache-off'; see --help\n/));
  it("an argument that is not an option", () =>
    fails(["Once upon a time"], /^error: too many arguments; see --help\n$/));
  it("batch sizes that are not numbers", () =>
    fails(
      ["--batch", "1,x"],
      /^error: --batch must be whole numbers from 1 to 1000000, comma-separated, got /,
      "bench",
    ));
  it("a batch size of twenty digits", () =>
    fails(
      ["--batch", "99999999999999999999"],
      /^error: --batch must be whole numbers from 1 to 1000000, comma-separated, got "9{20}"/,
      "bench",
    ));
  it("random weights without a configuration", () =>
    fails(["--random-weights"], /^error: --random-weights and --config must be given together/, "bench"));
  it("a device that the backend does not use", () =>
    fails(["--backend", "wasm", "--device", "cuda"], /^error: device must be cpu on backend wasm, got cuda/));
  it("an input longer than the context", () =>
    fails(
      ["--input", "5000"],
      /^error: input \+ output must be within the model's context of \d+ tokens, got 5000 \+ 32/,
      "bench",
    ));
});
