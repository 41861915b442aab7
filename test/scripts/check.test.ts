import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { findForbiddenImports } from "../../scripts/check/layers.js";
import { findRejectedWords } from "../../scripts/check/words.js";

/** Files of a small repository that is in order. */
const SOURCES = {
  "src/util/errors.ts": "export class InputError extends Error {}",
  "src/backend/kv-cache-write.ts": 'import { InputError } from "../util/errors.js";',
  "src/backend/backend.ts": 'import * as tf from "@tensorflow/tfjs-core"; import { join } from "node:path";',
  "src/model/kv-cache.ts": 'import { kvCacheWrite } from "../backend/kv-cache-write.js";',
  "src/model/llama.ts": 'import type { Tensor2D } from "@tensorflow/tfjs-core"; import "./kv-cache.js";',
  "src/generation/steps.ts": 'import type { Llama } from "../model/llama.js";',
  "src/index.ts": 'export { steps } from "./generation/steps.js";',
  "scripts/start.ts": 'import { steps } from "../src/index.js"; import { bugs } from "../lecture/bugs.js";',
  "lecture/bugs.ts": 'import { Llama } from "../src/model/llama.js";',
};

/** The same with one file changed. */
const withFile = (file: string, text: string) => new Map(Object.entries({ ...SOURCES, [file]: text }));

describe("npm run check: layers", () => {
  it("accepts a repository in order", () => {
    expect(findForbiddenImports(new Map(Object.entries(SOURCES)))).to.deep.equal([]);
  });

  const forbidden: Record<string, [file: string, text: string, target: string]> = {
    "an import from model to generation": [
      "src/model/llama.ts",
      'import { steps } from "../generation/steps.js";',
      "src/generation/steps.ts",
    ],
    "a type-only one": [
      "src/model/llama.ts",
      'import {\n  type Rotation,\n} from "./kv-cache.js";\nimport type { Step } from "../generation/steps.js";',
      "src/generation/steps.ts",
    ],
    "a re-export": [
      "src/model/llama.ts",
      'export * from "../generation/steps.js";',
      "src/generation/steps.ts",
    ],
    "a dynamic import": [
      "src/model/llama.ts",
      'const { steps } = await import(\n  "../generation/steps.js"\n);',
      "src/generation/steps.ts",
    ],
    "the type of a dynamic import": [
      "src/model/llama.ts",
      'type Steps = typeof import("../generation/steps.js");',
      "src/generation/steps.ts",
    ],
    "another file of a folder of which one may be imported": [
      "src/model/llama.ts",
      'import { BACKENDS } from "../backend/backend.js";',
      "src/backend/backend.ts",
    ],
    "src importing scripts": ["src/util/errors.ts", 'import "../../scripts/start.js";', "scripts/start.ts"],
    "src importing lecture": ["src/backend/backend.ts", 'import "../../lecture/bugs.js";', "lecture/bugs.ts"],
    "the public API used inside": ["src/generation/steps.ts", 'import "../index.js";', "src/index.ts"],
    "a module of Node in model": ["src/model/llama.ts", 'import { readFile } from "node:fs";', "node:fs"],
    "a package beside tfjs-core in model": [
      "src/model/llama.ts",
      'import "@tensorflow/tfjs-core-extra";',
      "@tensorflow/tfjs-core-extra",
    ],
  };
  for (const [name, [file, text, target]] of Object.entries(forbidden)) {
    it(`rejects ${name}`, () => {
      const found = findForbiddenImports(withFile(file, text));
      expect(found).to.have.length(1);
      expect(found[0]).to.match(new RegExp(`^${file}: imports ${target}, src/\\w+ may import `));
    });
  }

  it("rejects a folder that is no layer", () => {
    expect(findForbiddenImports(withFile("src/misc/x.ts", ""))).to.deep.equal([
      "src/misc/x.ts: src/misc must be one of the layers in scripts/check/layers.ts",
    ]);
  });
});

describe("npm run check: lint", () => {
  it("rejects a cycle closed by an import, a type-only import or a re-export", async () => {
    const root = fileURLToPath(new URL("../../", import.meta.url));
    const directory = await mkdtemp(join(tmpdir(), "lint-"));
    for (const [i, closing] of [
      'import { A } from "./a0.js";\nexport type C = A;',
      'import type { A } from "./a1.js";\nexport type C = A;',
      'export type { A } from "./a2.js";',
    ].entries()) {
      const a = `import type { B } from "./b${i}.js";\nexport type A = B | null;\n`;
      await writeFile(join(directory, `a${i}.ts`), a);
      await writeFile(join(directory, `b${i}.ts`), `export type B = string;\n${closing}\n`);
    }
    const lint = [
      join(root, "node_modules/oxlint/bin/oxlint"),
      "--config",
      join(root, ".oxlintrc.json"),
      "--format",
      "unix",
      directory,
    ];
    const { status, stdout } = spawnSync(process.execPath, lint, { encoding: "utf8" });
    for (const file of ["a0", "a1", "a2"]) expect(stdout).to.match(new RegExp(`/${file}\\.ts:1:.*no-cycle`));
    expect(status).to.equal(1);
    await rm(directory, { recursive: true });
  });
});

describe("npm run check: words", () => {
  const find = (line: string, file = "src/model/llama.ts") => findRejectedWords(file, `\n${line}\n`);

  for (const [line, word] of [
    ["// the model is recorded once", "recorded"],
    ["class RecordedLlama {}", "Recorded"],
    ["const recorder = new Tracer();", "recorder"],
    ["An NVIDIA card is faster.", "card"],
    ["const noCard = true;", "Card"],
    ["const MAX_ROOM = 8;", "ROOM"],
    ["// steps feed one token", "feed"],
    ["// products of matrices", "products"],
    ["npm run generate -- --engine wasm", "engine"],
  ]) {
    it(`rejects "${line}"`, () => {
      expect(find(line!)).to.have.length(1);
      expect(find(line!)[0]).to.match(new RegExp(`^src/model/llama.ts:2: "${word}", say `));
    });
  }

  for (const line of [
    "type Weights = Record<string, Tensor>;",
    "one record per line",
    "tf.engine().startScope();",
    '"engines": { "node": "^20.19.0" }',
    "the feed-forward network, FeedForward, feedForward",
    "the dot products of queries and keys",
    "a SentencePiece model, with a model card",
    "a discarded tensor, a bedroom, federated, cellular, a return",
  ]) {
    it(`accepts "${line}"`, () => expect(find(line)).to.deep.equal([]));
  }

  it("rejects a doc comment that begins with a question word, on its first line or the next", () => {
    const complaint = 'src/model/llama.ts:LINE: "Whether" at the beginning of a doc comment, say what it is';
    expect(find("/** Whether it has ended. */")).to.deep.equal([complaint.replace("LINE", "2")]);
    expect(find("/**\n * Whether it has ended.\n */")).to.deep.equal([complaint.replace("LINE", "3")]);
    expect(find("/** True once it has ended. Whether */ // What")).to.deep.equal([]);
  });

  it("accepts the words in the files that name them, and only there", () => {
    expect(find("recorded, formerly", "CHANGELOG.md")).to.deep.equal([]);
    expect(find("recorded, formerly", "README.md")).to.have.length(1);
    expect(find("there is no `prettier-ignore`", "CONTRIBUTING.md")).to.deep.equal([]);
    expect(find("// prettier-ignore")).to.have.length(1);
  });
});

describe("npm run check", () => {
  const script = fileURLToPath(new URL("../../scripts/check.ts", import.meta.url));
  const run = (...args: string[]) =>
    spawnSync(process.execPath, ["--import", "tsx", script, ...args], { encoding: "utf8" });

  it("runs the checks that are named", () => {
    const { stdout } = run("layers");
    expect(stdout).to.match(/^[✔✘] layers \d+\.\d s\n/);
    expect(stdout).not.to.match(/types|words/);
  });

  it("rejects an unknown check", () => {
    const { status, stderr } = run("spelling");
    expect(status).to.equal(1);
    expect(stderr).to.match(/^error: a check must be one of types, lint, .*, got spelling\n$/);
  });

  it("is what CI runs", () => {
    const root = new URL("../../", import.meta.url);
    expect(readFileSync(new URL(".ci/run", root), "utf8")).to.match(/^npm run check$/m);
    expect(readFileSync(new URL(".github/workflows/ci.yml", root), "utf8")).to.match(
      /- run: npm run check$/m,
    );
  });
});
