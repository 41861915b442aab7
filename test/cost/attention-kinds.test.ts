import { expect } from "chai";
import { cachedNumbers, latentNumbers, PUBLISHED } from "../../src/cost/attention-kinds.js";
import { cacheBytes } from "../../src/cost/cost.js";
import { PRESETS } from "../../src/model/presets.js";

describe("Bytes of a position by the kind of attention", () => {
  it("are those that the published models have in 16 bits", () => {
    const kibibytes = PUBLISHED.map(({ name, bytes }) => [name, Math.round((10 * bytes) / 1024) / 10]);
    expect(kibibytes).to.deep.equal([
      ["Llama 2 7B", 512],
      ["Llama 3.2 1B", 32],
      ["Llama 3.1 8B", 128],
      ["Llama 3.1 70B", 320],
      ["Falcon 7B", 8],
      ["DeepSeek V3", 68.6],
    ]);
  });

  it("are 4 times fewer for the 1B model with grouped heads, and 32 times with one head", () => {
    const config = PRESETS["llama-3.2-1b"]!;
    const { MHA, GQA, MQA } = cachedNumbers(config);
    expect([MHA / GQA, MHA / MQA]).to.deep.equal([4, 32]);
    expect(4 * GQA).to.equal(cacheBytes(config, 1, 1));
  });

  it("are 71 times fewer for DeepSeek V3 than with a key and a value for each of its heads", () => {
    const uncompressed = 61 * 128 * (128 + 64 + 128);
    expect(Math.round(uncompressed / latentNumbers(61, 512, 64))).to.equal(71);
  });
});
