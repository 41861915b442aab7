import { readFileSync } from "node:fs";
import { expect } from "chai";
import fc from "fast-check";
import { Lockstep } from "../../lecture/lockstep.js";
import { type Trace, TRACE_FORMAT, type StepPair } from "../../lecture/trace.js";
import { parseTrace, traceToJson, tokenStrings } from "../../lecture/trace-file.js";
import { InputError } from "../../src/index.js";
import { readTokenizerModel } from "../../src/tokenizer/tiktoken.js";
import { fixture, onOneBackend, randomIds, randomLlama, TINY } from "../support.js";

// oxlint-disable-next-line typescript/no-explicit-any -- JSON with arbitrary changes
type Loose = any;

onOneBackend("Saved traces", () => {
  let trace: Trace;
  let json: string;

  before(async () => {
    const model = randomLlama();
    const prompts = [randomIds(3, 1), randomIds(5, 2)].map((ids) => ({ text: "…", ids }));
    const options = { maxGenLen: 3, temperature: 0, topP: 1, seed: 0 };
    const ids = prompts.map((prompt) => prompt.ids);
    const both = new Lockstep(model, ids, { ...options, stopIds: new Set() }, [0]);
    const steps: StepPair[] = [];
    for (let pair = await both.step(); pair; pair = await both.step()) steps.push(pair);
    model.dispose();
    trace = {
      format: TRACE_FORMAT,
      date: "2026-11-24",
      model: "tiny",
      config: TINY,
      backend: "test",
      prompts,
      ...options,
      layers: [0],
      tokenStrings: { "1": "one" },
      steps,
    };
    json = traceToJson(trace);
  });

  it("are read back unchanged, with vectors rounded to 4 digits", () => {
    const back = parseTrace(json, "trace.json");
    expect(traceToJson(back)).to.equal(json);
    expect(back.steps[0]!.cached!.inputIds).to.deep.equal(trace.steps[0]!.cached!.inputIds);
    const [vector, original] = [back, trace].map(({ steps }) => steps[1]!.cached!.vectors[0]!);
    expect(vector!.values).to.be.instanceOf(Float32Array);
    for (const [i, value] of vector!.values.entries()) {
      expect(value).to.be.closeTo(original!.values[i]!, 1e-3 * Math.abs(original!.values[i]!) + 1e-12);
    }
  });

  it("are rejected with the name of the invalid field", () => {
    const broken = (change: (trace: Loose) => void): (() => Trace) => {
      const copy = JSON.parse(json);
      change(copy);
      return () => parseTrace(JSON.stringify(copy), "t.json");
    };
    const rejects = (parse: () => Trace, message: string) => expect(parse).to.throw(InputError, message);
    rejects(() => parseTrace("no", "t.json"), "t.json is not a saved trace: it must be JSON");
    rejects(() => parseTrace("[]", "t.json"), "t.json is not a saved trace: format is missing");
    rejects(
      broken((t) => (t.format = "kv-cache-lecture trace 1")),
      'format must be "kv-cache-lecture trace 2", got "kv-cache-lecture trace 1"',
    );
    rejects(
      broken((t) => (t.config.hiddenSize = "big")),
      't.json is not a saved trace: config.hiddenSize must be a whole number from 0, got "big"; "npm run trace',
    );
    rejects(
      broken((t) => delete t.steps[1].cached.ms),
      "steps.1.cached.ms is missing",
    );
    rejects(
      broken((t) => (t.steps[0].cached.vectors[2].values[1] = "x")),
      "steps.0.cached.vectors.2.values must be a list of numbers, got [",
    );
    rejects(
      broken((t) => t.steps[0].cached.next.pop()),
      "steps.0.cached.next must have one entry for each of 2 prompts, got 1",
    );
    rejects(
      broken((t) =>
        t.steps.push({ cached: null, uncached: null, differences: [null, null], reference: null }),
      ),
      "must have at least one mode",
    );
  });

  it("with arbitrary changes are still valid, or rejected with an InputError", () => {
    const at = fc.nat({ max: 4000 });
    fc.assert(
      fc.property(at, fc.nat({ max: 40 }), fc.string({ maxLength: 8 }), (start, length, inserted) => {
        const damaged = json.slice(0, start) + inserted + json.slice(start + length);
        try {
          parseTrace(damaged, "t.json");
        } catch (error) {
          expect(error).to.be.instanceOf(InputError);
        }
      }),
      { numRuns: 300 },
    );
  });

  it("write the bytes of incomplete characters in hexadecimal", () => {
    const tokenizer = readTokenizerModel(readFileSync(fixture("fairy-tales/tokenizer.model"), "utf8"));
    const ids = tokenizer.encode("poivrée 🦦", { bos: false });
    const strings = tokenStrings(tokenizer, [{ ids }], []);
    expect(ids.map((id) => strings[id]).join("")).to.match(/^poivr(é|⟨c3⟩⟨a9⟩)e ⟨f0⟩/);
  });
});
