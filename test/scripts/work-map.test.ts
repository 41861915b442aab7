import { readFileSync } from "node:fs";
import { expect } from "chai";
import { parseTrace } from "../../lecture/trace-file.js";
import { workMap } from "../../scripts/bench/plots/work-map.js";
import { loadBackend, loadCheckpoint, type Probe, steps } from "../../src/index.js";
import { fixture } from "../support.js";

const trace = parseTrace(readFileSync(fixture("work-map.json"), "utf8"), "work-map.json");
const modes = { uncached: false, cached: true };

/** The squares of each row of a map: those of computed pairs, and those of pairs read from the cache. */
function squaresOf(svg: string, mode: string): { computed: number; read: number }[] {
  const [, map] = new RegExp(`<g id="${mode}"(.*?)\n</g>`, "s").exec(svg)!;
  return [...map!.matchAll(/<g class="s\d+">(.*)<\/g>/g)].map(([, row]) => {
    const count = (kind: string) =>
      new RegExp(`class="${kind}" d="([^"]*)"`).exec(row!)?.[1]!.match(/M/g)!.length ?? 0;
    return { computed: count("new") + count("again"), read: count("read") };
  });
}

describe("The work map", () => {
  it("has a square for each key/value pair that a step computes or reads, in both modes", async () => {
    await loadBackend("wasm");
    const { model, tokenizer } = await loadCheckpoint(fixture("fairy-tales"));
    const [prompt] = trace.prompts;
    try {
      for (const [mode, useCache] of Object.entries(modes)) {
        const measured: { computed: number; read: number }[] = [];
        let computed = 0;
        const probe: Probe = (name, layer, { shape }) => {
          if (layer !== 0) return;
          if (name === "attention.key") computed = shape[1]!; // [B*K, T, D]
          if (name === "attention.weights") measured.push({ computed, read: shape[2]! - computed }); // [B*K, H/K*T, S]
        };
        const options = { ...trace, useCache, probe, stopIds: tokenizer.stopIds };
        const generated: number[] = [];
        for await (const { next } of steps(model, [tokenizer.encode(prompt!.text)], options)) {
          generated.push(next[0]!.id);
        }
        expect(generated).to.deep.equal(trace.steps.map((pair) => pair.cached!.next[0]!.id));
        expect(squaresOf(workMap(trace), mode), mode).to.deep.equal(measured);
      }
    } finally {
      model.dispose();
    }
  });

  it("is in the README as it is drawn from the saved trace", () => {
    expect(readFileSync(fixture("results/plots/work-map.svg"), "utf8")).to.equal(workMap(trace));
  });

  it("states the number of its squares of computed pairs", () => {
    for (const mode of Object.keys(modes)) {
      const svg = workMap(trace);
      const total = squaresOf(svg, mode).reduce((sum, { computed }) => sum + computed, 0);
      const [, map] = new RegExp(`<g id="${mode}"(.*?)\n</g>`, "s").exec(svg)!;
      expect(/<text class="n\d+" .*?class="count">(\d+)/.exec(map!)?.[1], mode).to.equal(`${total}`);
    }
  });

  it("is complete without animations, and has none for readers who prefer reduced motion", () => {
    const [, inMotion] = /@media \(prefers-reduced-motion: no-preference\) \{(.*?)\n {2}\}\n/s.exec(
      workMap(trace),
    )!;
    const still = workMap(trace).replace(inMotion!, "");
    expect(still).not.to.match(/animation|@keyframes/);
    expect(still.match(/opacity: 0/g)).to.have.length(1); // of the earlier totals
    expect(still.match(/class="n\d+"/g)).to.have.length(2);
  });
});
