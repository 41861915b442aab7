import type { VNode } from "preact";
import type { App } from "./app.js";
import { type Kind, label, MEANING, tokensBefore } from "./tokens.js";

/** Positions shown before and after the newest one. */
const BEFORE = 5;
const AFTER = 3;

/** Every sequence of a batch around the newest position, one column for each position, as the model's input has them. */
export function Batch({ app }: { app: App }): VNode {
  const { run, pair } = app;
  const step = pair?.cached ?? pair?.uncached;
  const curPos = step?.curPos ?? 1;
  const first = Math.max(0, curPos - 1 - BEFORE);
  const columns = Array.from({ length: BEFORE + 1 + AFTER }, (_, i) => first + i);
  return (
    <figure class="batch">
      <table>
        <thead>
          <tr>
            <th scope="col" class="left">
              position
            </th>
            {columns.map((position, i) => (
              <th key={i} scope="col" class={position === curPos - 1 ? "now" : undefined}>
                {position}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {run?.header.prompts.map(({ ids }, sequence) => {
            const tokens = [...tokensBefore(run, true, sequence, curPos + 1)];
            const ended = step?.next[sequence]?.source === "padding";
            return (
              <tr key={sequence} class={ended ? "token-sequence ended" : "token-sequence"}>
                <th scope="row">
                  {ids.length} <span class="wide">prompt tokens{ended && ", ended"}</span>
                </th>
                {columns.map((position, i) => {
                  const own = position < ids.length;
                  const id = own ? ids[position] : tokens[position];
                  const kind: Kind =
                    position >= curPos ? "ahead" : position >= (step?.prevPos ?? 0) ? "new" : "read";
                  return (
                    <td key={i} class={own ? kind : `${kind} generated`} title={MEANING[kind]}>
                      {ended && position >= curPos ? "" : id === undefined ? "" : label(run.tokenStrings[id])}
                    </td>
                  );
                })}
              </tr>
            );
          })}
        </tbody>
      </table>
      <p class="legend">
        <span>
          <i class="key new" /> computed in this step
        </span>
        <span>
          <i class="key kept" /> read from the cache
        </span>
        <span>
          <b>bold</b>: generated
        </span>
      </p>
    </figure>
  );
}
