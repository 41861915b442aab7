import type { VNode } from "preact";
import type { App } from "./app.js";
import { linesFor } from "./attention-picture.js";
import { CodeButton } from "./code-panel.js";
import { Picture, type Sheet } from "./picture.js";
import { capacityOf } from "./run.js";

/** Attention weights of all T queries that the step without the cache computes; only the last query's are needed. */
export function Triangle({ app }: { app: App }): VNode | null {
  const { run, pair, view } = app;
  const step = pair?.uncached;
  if (!run || !step || !run.header.layers.includes(view.layer)) return null;
  const S = step.curPos;
  const draw = ({ context, width, ink, fresh, faint }: Sheet): void => {
    const side = width / linesFor(S, capacityOf(run));
    context.strokeStyle = faint;
    context.strokeRect(0.5, 0.5, S * side - 1, S * side - 1);
    for (let query = 0; query < S; query++) {
      const address = {
        kind: "attention",
        layer: view.layer,
        sequence: view.sequence,
        head: view.head,
        position: query,
      } as const;
      const weights = run.uncachedVectors.at(address, view.step) ?? [];
      for (const [key, weight] of weights.entries()) {
        context.globalAlpha = Math.sqrt(weight);
        context.fillStyle = query === S - 1 ? fresh : ink;
        context.fillRect(key * side, query * side, side + 0.3, side + 0.3);
      }
    }
    context.globalAlpha = 1;
    context.strokeStyle = fresh;
    context.lineWidth = 2;
    context.strokeRect(1, (S - 1) * side - 1, S * side - 1, side + 2);
    context.lineWidth = 1;
  };
  return (
    <figure class="triangle">
      <Picture height={(width) => width} draw={draw} />
      <figcaption>
        Attention weights of head {view.head}, layer {view.layer}: one line for each query, one column for
        each key. The step without the cache computes{" "}
        <b>
          {S} × {S}
        </b>{" "}
        weights. Only the framed line, that of the newest token, is needed for the next token.{" "}
        <CodeButton app={app} id="mask" />
      </figcaption>
    </figure>
  );
}
