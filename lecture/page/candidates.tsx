import type { VNode } from "preact";
import type { CapturedStep } from "../trace.js";
import type { App } from "./app.js";
import { CodeButton } from "./code-panel.js";
import { ModeHeaders } from "./mode-headers.js";
import { stepOf } from "./run.js";
import { visible } from "./tokens.js";

const LINES = 6;

/** The most likely next tokens of the selected sequence, with the probabilities of both modes. */
export function Candidates({ app }: { app: App }): VNode {
  const { run, pair, view } = app;
  const lists = [true, false].map((cached) => stepOf(pair, cached)?.candidates[view.sequence] ?? []);
  const ids = [...new Set(lists.flat().map(({ id }) => id))].slice(0, LINES);
  const probabilityOf = (list: (typeof lists)[number], id: number) =>
    list.find((one) => one.id === id)?.probability;
  const next = (step: CapturedStep | undefined) => step?.next[view.sequence];
  const chosen = next(pair?.cached ?? pair?.uncached);
  const difference = pair?.differences[view.sequence];
  return (
    <figure class="candidates">
      <table>
        <caption>Next token of sequence {view.sequence}</caption>
        <thead>
          <tr>
            <th scope="col" class="left">
              token
            </th>
            <ModeHeaders />
          </tr>
        </thead>
        <tbody>
          {Array.from({ length: LINES }, (_, i) => {
            const id = ids[i];
            return (
              <tr key={i} class={id !== undefined && id === chosen?.id ? "is-chosen" : undefined}>
                <th scope="row">
                  {id === undefined ? " " : <span class="token ahead">{visible(run?.tokenStrings[id])}</span>}{" "}
                  {id !== undefined && id === chosen?.id && <span title="the next token">✓</span>}
                </th>
                {lists.map((list, mode) => {
                  const probability = id === undefined ? undefined : probabilityOf(list, id);
                  return (
                    <td key={mode} class={mode === 0 ? "cached" : "uncached"}>
                      {probability === undefined ? (
                        ""
                      ) : (
                        <span class="bar" style={{ "--share": `${100 * probability}%` }}>
                          {(100 * probability).toFixed(1)} %
                        </span>
                      )}
                    </td>
                  );
                })}
              </tr>
            );
          })}
        </tbody>
      </table>
      <figcaption>
        {chosen?.source === "prompt" && (
          <>
            The sequence is still inside its prompt, so the next token is the prompt’s{" "}
            <b>{visible(run?.tokenStrings[chosen.id])}</b>.{" "}
          </>
        )}
        {difference === undefined ? (
          "The two modes no longer continue the same tokens."
        ) : (
          <>
            Largest logit difference between the modes:{" "}
            <b data-test="difference">{difference.toExponential(1)}</b>
            {difference < 0.01 ? " (rounding)." : " (more than rounding)."}
          </>
        )}{" "}
        <CodeButton app={app} id="sampling" />
      </figcaption>
    </figure>
  );
}
