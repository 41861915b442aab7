import type { VNode } from "preact";
import type { App } from "./app.js";
import { difference, times, whole } from "./format.js";
import { modeName, stepOf } from "./run.js";
import { TokenText } from "./tokens.js";
import { WorkLegend, WorkMap } from "./work-map.js";

/** Floating-point operations of one mode's steps so far. */
const operations = (app: App, cached: boolean): number =>
  app.steps.reduce((total, pair) => total + (stepOf(pair, cached)?.cost.flops ?? 0), 0);

/** Operations without the cache divided by those with it, of the steps so far. */
const saving = (app: App): number => operations(app, false) / operations(app, true);

/** `prevPos:curPos` of one mode's step, in large type, and its number of tokens. */
export function Slice({ app, cached }: { app: App; cached: boolean }): VNode {
  const step = stepOf(app.pair, cached);
  const tokens = step ? step.curPos - step.prevPos : 0;
  return (
    <p class="slice">
      <b data-test="range">{step ? `${step.prevPos}:${step.curPos}` : "0:…"}</b>{" "}
      <span>
        → {step ? tokens : "…"} token{tokens === 1 ? "" : "s"}
        <span class="wide"> computed</span>
      </span>
    </p>
  );
}

/** Both modes generate the same text at once, each above its work map. */
export function Lanes({ app }: { app: App }): VNode {
  return (
    <figure class="lanes">
      {[true, false].map((cached) => (
        <section key={String(cached)} class="lane" data-mode={cached ? "cached" : "uncached"}>
          <h2>{modeName(cached)}</h2>
          <Slice app={app} cached={cached} />
          <TokenText app={app} cached={cached} />
          <div class="map-box">
            <WorkMap app={app} cached={cached} />
          </div>
          <p class="total">
            <b data-test="operations">{whole(operations(app, cached) / 1e6)}</b> million operations
          </p>
        </section>
      ))}
      <figcaption>
        <span class="only-prose">One row is one step, one column one position.</span>
        <WorkLegend />
        <Agreement app={app} />
      </figcaption>
    </figure>
  );
}

/** Evidence that both modes computed the same. */
function Agreement({ app }: { app: App }): VNode {
  const largest = Math.max(0, ...app.steps.flatMap(({ differences }) => differences.map((one) => one ?? 0)));
  return (
    <p class="agreement">
      largest logit difference <b data-test="difference">{difference(largest)}</b>
    </p>
  );
}

/** The page's title: the claim, with the factor of the steps so far. */
export function Claim({ app }: { app: App }): VNode {
  return (
    <>
      Same tokens. Same logits.{" "}
      {app.steps.length > 1 ? (
        <>
          <b data-test="number">{times(saving(app))}</b> less work.
        </>
      ) : (
        "Less work."
      )}
    </>
  );
}
