import type { VNode } from "preact";
import type { App } from "./app.js";
import { difference, whole } from "./format.js";
import { countWork, workRows } from "./work-map-rows.js";
import { WorkLegend, WorkMap } from "./work-map.js";

/** The work map of generation without a cache, with the row of the shown step named. */
export function Waste({ app }: { app: App }): VNode {
  const step = app.pair?.uncached;
  const rows = workRows(app.steps, false);
  const { first, again } = countWork(rows);
  const { nLayers = 0, nKvHeads = 0 } = app.run?.header.config ?? {};
  const perSquare = nLayers * nKvHeads * (app.run?.header.prompts.length ?? 1);
  const changes = Math.max(0, ...app.steps.map(({ uncached }) => uncached?.largestChange ?? 0));
  return (
    <figure class={app.answered ? "waste" : "waste unanswered"}>
      <div class="map-box">
        <WorkMap app={app} cached={false} />
      </div>
      <dl class="facts">
        <div>
          <dt>
            <i class="key new" /> computed
          </dt>
          <dd>{app.answered ? first : first + again}</dd>
        </div>
        <div>
          <dt>
            <i class="key again" /> computed again
          </dt>
          <dd>{app.answered ? again : "?"}</dd>
        </div>
        <div>
          <dt>largest change</dt>
          <dd data-test="change">{app.answered && step ? difference(changes) : "?"}</dd>
        </div>
      </dl>
      <figcaption class="only-prose">
        One row is one step, one column one position. A square is a key and a value in {nLayers} layers of{" "}
        {nKvHeads} KV heads (chapter 3): {whole(perSquare * (first + again))} pairs so far. The largest change
        is that of any number that was computed again; it is rounding.
      </figcaption>
      <span class="sr">
        <WorkLegend read={false} />
      </span>
    </figure>
  );
}

/** Share of the computed positions that earlier steps had computed, in percent. */
export function wastedPercent(app: App): number {
  const { first, again } = countWork(workRows(app.steps, false));
  return (100 * again) / (first + again || 1);
}
