import type { VNode } from "preact";
import type { RecordedStep } from "../trace.js";
import type { App } from "./app.js";
import { CodeButton } from "./code-panel.js";
import { ModeHeads } from "./mode-heads.js";
import { stepOf } from "./run.js";
import { visible } from "./tokens.js";

const LINES = 6;

/** The likeliest next tokens of the chosen row, with both modes' probabilities side by side. */
export function Candidates({ app }: { app: App }): VNode {
  const { run, turn, view } = app;
  const lists = [true, false].map((cached) => stepOf(turn, cached)?.candidates[view.row] ?? []);
  const ids = [...new Set(lists.flat().map(({ id }) => id))].slice(0, LINES);
  const chances = (list: (typeof lists)[number], id: number) =>
    list.find((one) => one.id === id)?.probability;
  const next = (step: RecordedStep | undefined) => step?.next[view.row];
  const chosen = next(turn?.cached ?? turn?.uncached);
  const difference = turn?.differences[view.row];
  return (
    <figure class="candidates">
      <table>
        <caption>What comes next in row {view.row}</caption>
        <thead>
          <tr>
            <th scope="col" class="left">
              token
            </th>
            <ModeHeads />
          </tr>
        </thead>
        <tbody>
          {Array.from({ length: LINES }, (_, i) => {
            const id = ids[i];
            return (
              <tr key={i} class={id !== undefined && id === chosen?.id ? "is-chosen" : undefined}>
                <th scope="row">
                  {id === undefined ? " " : <span class="token ahead">{visible(run?.words[id])}</span>}{" "}
                  {id !== undefined && id === chosen?.id && <span title="what stands there next">✓</span>}
                </th>
                {lists.map((list, mode) => {
                  const chance = id === undefined ? undefined : chances(list, id);
                  return (
                    <td key={mode} class={mode === 0 ? "cached" : "uncached"}>
                      {chance === undefined ? (
                        ""
                      ) : (
                        <span class="bar" style={{ "--share": `${100 * chance}%` }}>
                          {(100 * chance).toFixed(1)} %
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
            The row is still inside its prompt: its own token <b>{visible(run?.words[chosen.id])}</b> is
            taken.{" "}
          </>
        )}
        {difference === undefined ? (
          "The two modes no longer continue the same text."
        ) : (
          <>
            Largest difference of any score between the modes:{" "}
            <b data-test="difference">{difference.toExponential(1)}</b>
            {difference < 0.01 ? ", rounding." : ", more than rounding."}
          </>
        )}{" "}
        <CodeButton app={app} id="sampling" />
      </figcaption>
    </figure>
  );
}
