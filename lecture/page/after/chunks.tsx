import type { VNode } from "preact";
import { CHUNKS, PREFILL_LENGTH as T } from "../../after/settings.js";
import type { App } from "../app.js";
import { bytes, difference, times } from "../format.js";
import { Choices, choiceOf } from "./choices.js";
import { part, type Topic } from "./topic.js";

/** The chunks that the reader can choose; the whole prompt is a build of its own. */
const SMALLER = CHUNKS.slice(1).toReversed();

/** Index of the shown chunk in `CHUNKS`. */
const shown = (app: App): number => (part(app) < 2 ? 0 : CHUNKS.length - 1 - choiceOf(app, SMALLER));

const peak = (app: App, i: number): number | undefined => app.demo("chunkedPrefill", i)?.peakBytes;

function ChunksFigure({ app }: { app: App }): VNode {
  const chunk = CHUNKS[shown(app)]!;
  const chunks = T / chunk;
  const whole = app.demo("chunkedPrefill", 0)?.logits;
  const answer = app.answered ? CHUNKS.slice(0, part(app) < 2 ? 1 : CHUNKS.length) : [];
  return (
    <figure class="chunks">
      <svg viewBox={`0 0 ${T} ${T}`} role="img" aria-label={`attention scores in ${chunks} chunks`}>
        {Array.from({ length: chunks }, (_, i) => (
          <path
            key={i}
            class={!app.answered ? "none" : i === chunks - 1 ? "new" : "freed"}
            d={`M0 ${i * chunk}h${(i + 1) * chunk}v${chunk}H0z`}
          />
        ))}
        <path class="diagonal" d={`M0 0L${T} ${T}`} />
        <path class="frame" d={`M0 0h${T}v${T}H0z`} />
      </svg>
      <div class="beside">
        <p class="legend">
          <span>↓ queries, → keys</span>
          <span>
            <i class="key new" /> scores in memory at once
          </span>
        </p>
        {part(app) >= 2 && <Choices app={app} name="chunk" options={SMALLER} />}
        {app.answered && (
          <table>
            <thead>
              <tr>
                <th scope="col" class="left">
                  tokens at once
                </th>
                <th scope="col" class="left">
                  peak memory
                </th>
                <th scope="col">logits differ by</th>
              </tr>
            </thead>
            <tbody>
              {answer.map((size, i) => {
                const used = peak(app, i);
                const logits = app.demo("chunkedPrefill", i)?.logits;
                return (
                  <tr key={size} class={i === shown(app) ? "chosen" : undefined}>
                    <th scope="row">{size}</th>
                    <td class="left">
                      <i
                        class="meter new"
                        style={{ width: `${(55 * (used ?? 0)) / (peak(app, 0) ?? 1)}%` }}
                      />{" "}
                      {used === undefined ? "…" : bytes(used)}
                    </td>
                    <td>{logits && whole ? difference(distance(logits, whole)) : "…"}</td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        )}
      </div>
    </figure>
  );
}

const distance = (a: Float32Array, b: Float32Array): number =>
  a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0);

/** A prompt in chunks: memory that grows with its length, and not with its square. */
export const CHUNKED: Topic = {
  name: "Chunked prefill",
  menu: "Chunks",
  kind: "EXACT",
  minutes: 6,
  notes: [
    "The cache makes decode steps small. Prefill still has a matrix of T × T scores in every head.",
    "A chunk is a call with a cache: the same code as a decode step, with more than one token.",
    "Ask what a smaller chunk costs: fewer rows share one read of the weights.",
  ],
  question: () => `A prompt of ${T} tokens in one call: how many attention scores has each head?`,
  answers: {
    1: () => `${T} × ${T}, half of them masked. Twice the prompt takes four times the memory.`,
    2: () => "A chunk attends to the cache of those before it. Only its own rows of scores exist at once.",
  },
  number: (app) => {
    const [whole, chunk] = [peak(app, 0), peak(app, shown(app))];
    if (part(app) === 1) return { value: whole ? bytes(whole) : "…", caption: "of activations at the peak" };
    return { value: whole && chunk ? times(whole / chunk) : "…", caption: "less memory at the peak" };
  },
  prose: () => (
    <>
      <p>
        With a cache, a prompt need not be one forward pass. In chunks, each chunk appends its keys and
        values, and attends to all that are stored.
      </p>
      <p>
        The logits are the same. Activations, the intermediate results, then grow with the prompt’s length,
        not with its square. Servers also run the decode steps of other requests between two chunks, so that
        none has to wait for a long prompt.
      </p>
    </>
  ),
  figure: (app) => <ChunksFigure app={app} />,
  code: ["inChunks"],
};
