import { expect } from "chai";
import { executionTable, paysFrom } from "../../scripts/bench/studies/execution.js";
import { spread } from "../../scripts/bench/measure.js";

const of = (execution: "eager" | "graph" | "xla", start: number, step: number) => ({
  execution,
  startMs: spread([start]),
  stepMs: spread([step]),
  seconds: spread([1]),
});

describe("npm run bench -- --study execution", () => {
  const [eager, graph, xla] = [of("eager", 100, 30), of("graph", 1100, 20), of("xla", 6100, 10)];

  it("shows from how many tokens on the steps that are faster make up for a slower start", () => {
    expect(paysFrom(graph, eager)).to.equal(100);
    expect([eager, graph].map((other) => paysFrom(xla, other))).to.deep.equal([300, 500]);
    const { rows } = executionTable([eager, graph, xla]);
    expect(rows.map((row) => row.slice(-2))).to.deep.equal([
      ["", ""],
      ["100 tokens", ""],
      ["300 tokens", "500 tokens"],
    ]);
  });

  it("shows an execution that never pays, and one that always does", () => {
    expect(paysFrom(of("graph", 0, 30), eager)).to.equal(Infinity);
    expect(executionTable([eager, of("graph", 0, 40), xla]).rows[1]!.at(-2)).to.equal("never");
    expect(paysFrom(of("graph", 50, 20), eager)).to.equal(1);
  });
});
