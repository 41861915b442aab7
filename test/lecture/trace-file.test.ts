import { readFileSync } from "node:fs";
import { expect } from "chai";
import fc from "fast-check";
import { Lockstep } from "../../lecture/lockstep.js";
import { type Trace, TRACE_FORMAT, type Turn } from "../../lecture/trace.js";
import { parseTrace, traceToJson, wordsOf } from "../../lecture/trace-file.js";
import { InputError } from "../../src/index.js";
import { Tokenizer } from "../../src/tokenizer/tokenizer.js";
import { fixture, onOneBackend, randomIds, randomLlama, TINY } from "../support.js";

// oxlint-disable-next-line typescript/no-explicit-any -- JSON, to be damaged
type Loose = any;

onOneBackend("Traces", () => {
  let trace: Trace;
  let json: string;

  before(async () => {
    const model = randomLlama();
    const prompts = [randomIds(3, 1), randomIds(5, 2)].map((ids) => ({ text: "…", ids }));
    const options = { maxGenLen: 3, temperature: 0, topP: 1, seed: 0 };
    const ids = prompts.map((prompt) => prompt.ids);
    const both = new Lockstep(model, ids, { ...options, stopIds: new Set() }, [0]);
    const turns: Turn[] = [];
    for (let turn = await both.turn(); turn; turn = await both.turn()) turns.push(turn);
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
      words: { "1": "one" },
      turns,
    };
    json = traceToJson(trace);
  });

  it("come back as they were, rows rounded to 4 digits", () => {
    const back = parseTrace(json, "trace.json");
    expect(traceToJson(back)).to.equal(json);
    expect(back.turns[0]!.cached!.inputIds).to.deep.equal(trace.turns[0]!.cached!.inputIds);
    const [row, original] = [back, trace].map(({ turns }) => turns[1]!.cached!.rows[0]!);
    expect(row!.values).to.be.instanceOf(Float32Array);
    for (const [i, value] of row!.values.entries()) {
      expect(value).to.be.closeTo(original!.values[i]!, 1e-3 * Math.abs(original!.values[i]!) + 1e-12);
    }
  });

  it("name what is wrong", () => {
    const broken = (change: (trace: Loose) => void): (() => Trace) => {
      const copy = JSON.parse(json);
      change(copy);
      return () => parseTrace(JSON.stringify(copy), "t.json");
    };
    expect(() => parseTrace("no", "t.json")).to.throw(InputError, "t.json is not JSON");
    expect(() => parseTrace("[]", "t.json")).to.throw(
      InputError,
      'has the format missing, expected "kv-cache',
    );
    expect(broken((t) => (t.config.hiddenSize = "big"))).to.throw(
      InputError,
      'config: dim is "big", expected a whole number',
    );
    expect(broken((t) => delete t.turns[1].cached.ms)).to.throw(
      InputError,
      "turns[1]: cached: ms is missing",
    );
    expect(broken((t) => t.turns[0].cached.next.pop())).to.throw(
      InputError,
      "cached has 1 entries, expected 2",
    );
    expect(broken((t) => t.turns.push({ differences: [null, null] }))).to.throw(InputError, "neither mode");
  });

  it("with any damage are refused by an InputError, or are still traces", () => {
    const at = fc.nat({ max: 4000 });
    fc.assert(
      fc.property(at, fc.nat({ max: 40 }), fc.string({ maxLength: 8 }), (start, length, put) => {
        const damaged = json.slice(0, start) + put + json.slice(start + length);
        try {
          parseTrace(damaged, "t.json");
        } catch (error) {
          expect(error).to.be.instanceOf(InputError);
        }
      }),
      { numRuns: 300 },
    );
  });

  it("spell bytes that are no whole character", () => {
    const tokenizer = Tokenizer.fromTiktoken(readFileSync(fixture("fairy-tales/tokenizer.model"), "utf8"));
    const ids = tokenizer.encode("poivrée 🦦", { bos: false });
    const words = wordsOf(tokenizer, [{ ids }], []);
    expect(ids.map((id) => words[id]).join("")).to.match(/^poivr(é|⟨c3⟩⟨a9⟩)e ⟨f0⟩/);
  });
});
