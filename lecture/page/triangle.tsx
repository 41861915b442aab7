import type { VNode } from "preact";
import type { App } from "./app.js";
import { linesFor } from "./attention-picture.js";
import { CodeButton } from "./code-panel.js";
import { Picture, type Sheet } from "./picture.js";

/** All T rows of attention that the step without a cache computes, of which one is used. */
export function Triangle({ app }: { app: App }): VNode | null {
  const { run, turn, view } = app;
  const step = turn?.uncached;
  if (!run || !step || !run.head.layers.includes(view.layer)) return null;
  const { prompts, maxGenLen } = run.head;
  const room = Math.max(...prompts.map(({ ids }) => ids.length)) + maxGenLen;
  const S = step.curPos;
  const draw = ({ context, width, ink, fresh, faint }: Sheet): void => {
    const cell = width / linesFor(S, room);
    context.strokeStyle = faint;
    context.strokeRect(0.5, 0.5, S * cell - 1, S * cell - 1);
    for (let query = 0; query < S; query++) {
      const address = {
        kind: "attention",
        layer: view.layer,
        row: view.row,
        head: view.head,
        position: query,
      } as const;
      const weights = run.uncachedRows.at(address, view.step)?.values ?? [];
      for (const [key, weight] of weights.entries()) {
        context.globalAlpha = Math.sqrt(weight);
        context.fillStyle = query === S - 1 ? fresh : ink;
        context.fillRect(key * cell, query * cell, cell + 0.3, cell + 0.3);
      }
    }
    context.globalAlpha = 1;
    context.strokeStyle = fresh;
    context.lineWidth = 2;
    context.strokeRect(1, (S - 1) * cell - 1, S * cell - 1, cell + 2);
    context.lineWidth = 1;
  };
  return (
    <figure class="triangle">
      <Picture height={(width) => width} draw={draw} />
      <figcaption>
        Attention of head {view.head}, layer {view.layer}: a line a query, a column a key; stronger is more.
        The step without a cache fills{" "}
        <b>
          {S} × {S}
        </b>{" "}
        fields. Only the framed line, the newest token’s, decides what comes next.{" "}
        <CodeButton app={app} id="mask" />
      </figcaption>
    </figure>
  );
}
