import { readFileSync } from "node:fs";
import { expect } from "chai";
import { parseConfig } from "../src/checkpoint/hugging-face-config.js";
import { BUGS } from "../lecture/bugs.js";
import { compareModes, type Llama } from "../src/index.js";
import { loadModel } from "../src/checkpoint/load.js";
import { LOGIT_TOLERANCE } from "../src/generation/compare.js";
import { diskFile } from "../src/checkpoint/directory.js";
import { SafetensorsFile } from "../src/checkpoint/safetensors.js";
import { fixture, onOneBackend } from "./support.js";

/**
 * Each test plants one classic mistake and asserts which of the two basic checks detect it: "modes" (cached and uncached
 * generation agree) and "goldens" (the logits are those of transformers).
 */
onOneBackend("Planted bugs", () => {
  let model: Llama;
  let tokens: number[];
  let golden: Float32Array;

  before(async () => {
    const read = (path: string) => JSON.parse(readFileSync(fixture(path), "utf8"));
    model = await loadModel(
      parseConfig(read("fairy-tales/config.json"), "config.json"),
      fixture("fairy-tales"),
    );
    const { cases } = read("goldens/goldens.json").checkpoints["fairy-tales"];
    tokens = cases.find(({ name }: { name: string }) => name === "once").tokens;
    const file = await SafetensorsFile.open(diskFile(fixture("goldens/goldens.safetensors")));
    golden = await file.read("fairy-tales/once/logits");
    await file.close();
  });

  after(() => model.dispose());

  /** The checks that fail now. */
  async function failedChecks(): Promise<string[]> {
    const failed: string[] = [];
    const options = { temperature: 0, topP: 1, seed: 0, maxGenLen: 24, stopIds: new Set<number>() };
    const prompts = [tokens, tokens.slice(0, 3)];
    const { difference, maxLogitDifference } = await compareModes(model, prompts, options);
    if (difference || maxLogitDifference > LOGIT_TOLERANCE) failed.push("modes");
    const logits = model.forward([tokens]);
    const worst = Math.max(...logits.dataSync().map((value, i) => Math.abs(value - golden[i]!)));
    logits.dispose();
    if (!(worst < 0.01)) failed.push("goldens");
    return failed;
  }

  it("passes both checks without a bug", async () => {
    expect(await failedChecks()).to.deep.equal([]);
  });

  for (const { title, caughtBy, plant } of BUGS) {
    it(`${title}: detected by ${caughtBy.join(" and ")}`, async () => {
      const restore = plant();
      try {
        expect(await failedChecks()).to.deep.equal(caughtBy);
      } finally {
        restore();
      }
    });
  }
});
