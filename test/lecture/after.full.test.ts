import { expect } from "chai";
import { type DemoResult, runDemo } from "../../lecture/after/demos.js";
import { CHUNKS, ROUNDINGS, WINDOWS } from "../../lecture/after/settings.js";
import type { Subject } from "../../lecture/after/subject.js";
import { largestDifference, LOGIT_TOLERANCE } from "../../src/generation/compare.js";
import { onOneBackend } from "../support.js";
import { bundledSubject } from "./bundled-subject.js";

onOneBackend("The measurements after the cache", () => {
  let subject: Subject;
  before(async () => {
    subject = await bundledSubject();
  });
  after(() => subject.model.dispose());

  it("chunked prefill: memory is in proportion to the chunk, and the logits are the same", async () => {
    const whole = await runDemo("chunkedPrefill", subject, 0);
    for (const [i, chunk] of CHUNKS.entries()) {
      const { peakBytes, logits } = await runDemo("chunkedPrefill", subject, i);
      expect(peakBytes / whole.peakBytes / (chunk / CHUNKS[0])).to.be.within(0.9, 1.2);
      expect(largestDifference([whole.logits], [logits])).to.be.below(LOGIT_TOLERANCE);
    }
  });

  it("windows: nothing is lost while nothing is dropped, and more the smaller they are", async () => {
    let before = 0;
    for (const [i, { window, sinks }] of WINDOWS.entries()) {
      const { divergence, sameTop1, maxLogitDifference, steps } = await runDemo("windowLoss", subject, i);
      if (window > steps + 6) {
        expect(sameTop1).to.equal(1);
        expect(maxLogitDifference).to.be.below(LOGIT_TOLERANCE);
      }
      if (sinks === 0 && i > 0) expect(divergence, `${window}`).to.be.above(before);
      before = divergence;
    }
  });

  it("rounding: at most half a step of each group, and less lost per channel and with more bits", async () => {
    const results: DemoResult<"rounding">[] = [];
    for (const [i, { bits, keys }] of ROUNDINGS.entries()) {
      const result = await runDemo("rounding", subject, i);
      results.push(result);
      for (const layer of result.layers) {
        const range = Math.max(...layer.keys) - Math.min(...layer.keys);
        const off = largestDifference([layer.keys], [layer.rounded]);
        expect(off, `${bits} bits, keys per ${keys}`).to.be.within(1e-6, range / (2 ** bits - 1) / 2 + 1e-5);
      }
    }
    const [channel4, token4, channel8, token8] = results.map(({ loss }) => loss.divergence);
    expect(channel4).to.be.below(token4! / 2);
    expect(channel8).to.be.below(token8! / 2);
    expect(token8).to.be.below(channel4! / 2);
  });
});
