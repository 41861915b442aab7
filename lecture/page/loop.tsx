import type { VNode } from "preact";
import type { App } from "./app.js";
import { Code } from "./code-panel.js";
import { Slice } from "./lanes.js";
import { capacityOf, modeName, stepOf } from "./run.js";
import { flashOf, kindsOf, label, tokensBefore } from "./tokens.js";

/** The loop's lines that the slices depend on. */
const SHOWN = /let prevPos|const inputIds|model\.forward|if \(cache\)|curPos\+\+/;

/** Both modes' slices, with the tokens that each step passes to scale, above the loop. */
export function LoopFigure({ app }: { app: App }): VNode {
  return (
    <figure class="loop">
      {[true, false].map((cached) => (
        <section key={String(cached)} class="lane" data-mode={cached ? "cached" : "uncached"}>
          <h2>{modeName(cached)}</h2>
          <div class="slice-and-next">
            <Slice app={app} cached={cached} />
            <Next app={app} cached={cached} />
          </div>
          <Positions app={app} cached={cached} />
        </section>
      ))}
      <Code id="loop" only={(line) => SHOWN.test(line)} mark={(line) => line.includes("if (cache)")} />
    </figure>
  );
}

/** One box for each position: filled if it is computed in this step, a dot if it is in the cache. */
function Positions({ app, cached }: { app: App; cached: boolean }): VNode {
  const { run, view } = app;
  const kinds = kindsOf(app, cached);
  const ids = tokensBefore(run, cached, view.sequence, kinds.length);
  const length = run ? capacityOf(run) - 1 : 1;
  return (
    <div class={`boxes ${flashOf(view.step)}`} style={{ "--columns": length }} aria-hidden="true">
      {kinds.map((kind, position) => (
        <i key={position} class={`box ${kind}`} title={label(run?.tokenStrings[ids[position]!])} />
      ))}
    </div>
  );
}

/** The token that the step decides. */
function Next({ app, cached }: { app: App; cached: boolean }): VNode {
  const next = stepOf(app.pair, cached)?.next[app.view.sequence];
  return (
    <p class="next-token">
      next token <b class="token next">{next ? label(app.run?.tokenStrings[next.id]) : "…"}</b>
    </p>
  );
}
