import { expect } from "chai";
import { cacheKind } from "../../src/cache/cache-kind.js";
import type { Backend } from "../../src/backend/backend.js";
import { InputError } from "../../src/index.js";
import { chooseExecution, PAYS_FROM } from "../../scripts/execution.js";

const on = (name: Backend["name"], device: Backend["device"] = "cpu"): Backend => ({
  name,
  device,
  description: "",
});
const CPU = on("tensorflow");
const GPU = on("tensorflow", "cuda");

describe("--execution auto", () => {
  const chosen = (...[backend, dtype, work]: Parameters<typeof chooseExecution>) =>
    chooseExecution(backend, dtype, work).execution;

  it("takes graph mode, and XLA, from the number of tokens on with which they pay", () => {
    for (const backend of [CPU, GPU]) {
      const of = (tokens: number) => chosen(backend, "float32", { tokens, batch: 1 });
      expect(of(PAYS_FROM.graph - 1)).to.equal("eager");
      expect(of(PAYS_FROM.graph)).to.equal("graph");
      expect(of(PAYS_FROM.xla - 1)).to.equal("graph");
      expect(of(PAYS_FROM.xla)).to.equal("xla");
    }
  });

  it("takes no XLA on a CPU for batches that it does not compile", () => {
    expect(chosen(CPU, "float32", { tokens: 1000, batch: 9 })).to.equal("graph");
    expect(chosen(GPU, "float32", { tokens: 1000, batch: 9 })).to.equal("xla");
  });

  it("takes eager execution for what graph mode cannot run, and names it", () => {
    const work = { tokens: 1000, batch: 1 };
    const { execution, reason } = chooseExecution(CPU, "float32", { ...work, eagerOption: "--draft" });
    expect([execution, reason]).to.deep.equal(["eager", "as --draft does not run in graph mode"]);
    const paged = { ...work, cacheKind: cacheKind({ cache: "quantized", bits: 8 }) };
    expect(chooseExecution(GPU, "float32", paged).reason).to.equal(
      "as --cache quantized does not run in graph mode",
    );
    for (const name of ["wasm", "cpu"] as const) expect(chosen(on(name), "float32", work)).to.equal("eager");
  });

  it("takes graph mode for bfloat16 weights, however few tokens, and rejects what has none", () => {
    expect(chosen(CPU, "bfloat16", { tokens: 1, batch: 1 })).to.equal("graph");
    expect(chosen(CPU, "bfloat16", { tokens: 1000, batch: 1 })).to.equal("graph"); // XLA on a CPU is float32 only
    expect(chosen(GPU, "bfloat16", { tokens: 1000, batch: 1 })).to.equal("xla");
    const work = { tokens: 1, batch: 1, eagerOption: "--draft" };
    expect(() => chooseExecution(CPU, "bfloat16", work)).to.throw(
      InputError,
      "--dtype must be float32 with --draft, got bfloat16",
    );
    expect(() => chooseExecution(on("wasm"), "bfloat16", work)).to.throw(
      InputError,
      "--dtype bfloat16 must be used on backend tensorflow, got wasm",
    );
  });
});
