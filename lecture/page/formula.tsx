import type { VNode } from "preact";

/** softmax(q · Kᵀ / √D) · V: attention of one query. */
export function AttentionFormula(): VNode {
  return (
    <math display="block" class="formula">
      <mrow>
        <mi>softmax</mi>
        <mo>(</mo>
        <mfrac>
          <mrow>
            <mi>q</mi>
            <mo>·</mo>
            <msup>
              <mi>K</mi>
              <mi mathvariant="normal">T</mi>
            </msup>
          </mrow>
          <msqrt>
            <mi>D</mi>
          </msqrt>
        </mfrac>
        <mo>)</mo>
        <mo>·</mo>
        <mi>V</mi>
      </mrow>
    </math>
  );
}
