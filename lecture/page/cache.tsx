import type { VNode } from "preact";
import type { App } from "./app.js";
import { type AttendedPosition, type AttentionStep, attentionStep } from "./attention-step.js";
import { Code } from "./code-panel.js";
import { Strip } from "./strip.js";
import { label, tokensBefore } from "./tokens.js";

/** Rows that fit on every screen. Positions in between are left out and counted. */
const FIRST_ROWS = 2;
const LAST_ROWS = 7;

/** Attention of one decode step: the new row, the query against the keys, softmax, and the sum of the values. */
export function CacheFigure({ app }: { app: App }): VNode {
  const { run, view, pair } = app;
  const ids = tokensBefore(run, true, view.sequence, pair?.cached?.curPos ?? 0);
  const attention = attentionStep(app, ids);
  return (
    <figure class="cache" data-build={view.build}>
      {typeof attention === "string" ? (
        <p>{attention}</p>
      ) : (
        <AttentionTable key={view.step} app={app} attention={attention} />
      )}
      {view.build < 2 && (
        <Code id="append" only={(line) => /kvCacheWrite|this\.filled = |return \[/.test(line)} />
      )}
    </figure>
  );
}

function AttentionTable({ app, attention }: { app: App; attention: AttentionStep }): VNode {
  const { build } = app.view;
  const { positions, query, output, scale } = attention;
  const left = Math.max(0, positions.length - FIRST_ROWS - LAST_ROWS);
  const rows = left > 0 ? [...positions.slice(0, FIRST_ROWS), ...positions.slice(-LAST_ROWS)] : positions;
  const most = Math.max(...positions.map(({ weight }) => weight), 1e-9);
  const text = (one: AttendedPosition) => label(app.run!.tokenStrings[one.id]);
  return (
    <table>
      <thead>
        <tr class={build >= 2 ? "query" : "query hidden"}>
          <th scope="row">query</th>
          <td>
            <Strip values={query} scale={scale("key")} name="query of the newest token" />
          </td>
          <td />
          <td />
        </tr>
        <tr>
          <th scope="col" class="left">
            token
          </th>
          <th scope="col">K, keys</th>
          <th scope="col">{build >= 3 ? "weight" : build === 2 ? "score" : ""}</th>
          <th scope="col">V, values</th>
        </tr>
      </thead>
      <tbody>
        {rows.map((one, i) => {
          const newest = one.position >= attention.step.prevPos;
          const hidden = newest && build === 0;
          return (
            <>
              {left > 0 && i === FIRST_ROWS && (
                <tr key="more" class="more">
                  <th scope="row" colSpan={4}>
                    ⋮ {left} more
                  </th>
                </tr>
              )}
              <tr
                key={one.position}
                class={`${newest ? "newest" : "kept"}${hidden ? " hidden" : ""}`}
                style={{ "--row": i }}
              >
                <th scope="row">
                  <i class={`key ${newest ? "new" : "read"}`} /> {text(one)}
                </th>
                <td>
                  <Strip values={one.key} scale={scale("key")} name={`key of ${text(one)}`} />
                </td>
                <td class="weight">
                  {build === 2 && one.score?.toFixed(1).replace("-", "−")}
                  {build >= 3 && (
                    <span class="bar" style={{ "--share": one.weight / most }}>
                      {(100 * one.weight).toFixed(0)}%
                    </span>
                  )}
                </td>
                <td>
                  <Strip values={one.value} scale={scale("value")} name={`value of ${text(one)}`} />
                </td>
              </tr>
            </>
          );
        })}
      </tbody>
      <tfoot>
        <tr class={build >= 4 ? "output" : "output hidden"}>
          <th scope="row" colSpan={3}>
            sum of weight · value
          </th>
          <td>
            <Strip values={output} scale={scale("value")} name="output of this head" />
          </td>
        </tr>
      </tfoot>
    </table>
  );
}
