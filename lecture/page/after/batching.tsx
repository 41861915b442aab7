import type { VNode } from "preact";
import type { Batching, Timeline } from "../../after/batching.js";
import { BATCH_SIZES } from "../../after/settings.js";
import type { App } from "../app.js";
import { Choices, choiceOf } from "./choices.js";
import { part, type Topic } from "./topic.js";

const demo = (app: App): Batching | undefined => app.demo("batching", choiceOf(app, BATCH_SIZES));

function BatchingFigure({ app }: { app: App }): VNode {
  const both = demo(app);
  if (!both) return <figure class="timelines">Computing…</figure>;
  const { fixed, continuous, requests, identical } = both;
  return (
    <figure class="timelines">
      <Choices app={app} name="requests at once" options={BATCH_SIZES} />
      {!app.answered && <Lengths batching={both} />}
      {app.answered && (
        <TimelineMap name="fixed batches" timeline={fixed} columns={fixed.length} all={both} />
      )}
      {part(app) === 2 && (
        <TimelineMap name="continuous batching" timeline={continuous} columns={fixed.length} all={both} />
      )}
      {app.answered && (
        <p class="legend">
          <span>↓ {requests.length} requests, → forward passes</span>
          <span>
            <i class="key new" /> its prompt
          </span>
          <span>
            <i class="key new small" /> a decode step
          </span>
          <span>
            <i class="key padding small" /> padding
          </span>
          {part(app) === 2 && <span>{identical ? "all tokens are identical" : "tokens differ"}</span>}
        </p>
      )}
    </figure>
  );
}

/** The requests of the question: tokens of the prompt, and tokens to generate. */
function Lengths({ batching: { requests } }: { batching: Batching }): VNode {
  const most = Math.max(...requests.map(({ promptLength, maxGenLen }) => promptLength + maxGenLen));
  return (
    <table>
      <tbody>
        {requests.map(({ promptLength, maxGenLen }, i) => (
          <tr key={i}>
            <th scope="row">request {i + 1}</th>
            <td class="left">
              <i class="meter new" style={{ width: `${(60 * promptLength) / most}%` }} />
              <i class="meter steps" style={{ width: `${(60 * maxGenLen) / most}%` }} /> {promptLength}
              <span class="wide"> prompt tokens</span> + {maxGenLen}
              <span class="wide"> to generate</span>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

interface MapProps {
  readonly name: string;
  readonly timeline: Timeline;
  /** Forward passes that fit. */
  readonly columns: number;
  readonly all: Batching;
}

/** One row for each request, one column for each forward pass. */
function TimelineMap({ name, timeline, columns, all: { requests } }: MapProps): VNode {
  const prompt = requests.map(({ promptLength }) => promptLength);
  const paths = { new: "", step: "", padding: "" };
  for (const [x, parts] of timeline.entries()) {
    for (const { request, positions, useful } of parts) {
      const kind = !useful ? "padding" : prompt[request]! > 0 ? "new" : "step";
      prompt[request]! -= positions;
      const margin = kind === "new" ? 0.06 : 0.24;
      const side = (1 - 2 * margin).toFixed(2);
      paths[kind] += `M${x + margin} ${request + margin}h${side}v${side}h-${side}z`;
    }
  }
  return (
    <section class="timeline">
      <h2>
        {name}: <b>{timeline.length}</b> forward passes
      </h2>
      <svg
        viewBox={`0 0 ${columns} ${requests.length}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={name}
      >
        <path class="frame" d={`M0 0H${timeline.length}V${requests.length}H0z`} />
        <path class="new" d={paths.new} />
        <path class="new" d={paths.step} />
        <path class="padding" d={paths.padding} />
      </svg>
    </section>
  );
}

/** Batches that requests join and leave. */
export const BATCHED: Topic = {
  name: "Continuous batching",
  menu: "Batches",
  kind: "EXACT",
  minutes: 6,
  notes: [
    "Why batch at all? Chapter 5: a decode step reads all weights, for one request or for many.",
    "Find the padding: requests that wait for the longest one of their batch.",
    "It needs pages: each request is at a position of its own, and its memory is taken and freed alone.",
  ],
  question: () =>
    "Requests of different lengths share a batch. What does a short one do when it has finished?",
  answers: {
    1: () => "It is padded until the longest of its batch has finished, and the next batch waits.",
    2: () => "It leaves, and a waiting request takes its place before the next step.",
  },
  number: (app) => {
    const both = demo(app);
    if (!both) return { value: "…", caption: "" };
    const { fixed, continuous } = both;
    if (part(app) === 2)
      return { value: `${fixed.length} → ${continuous.length}`, caption: "forward passes" };
    const parts = fixed.flat();
    const padded = parts.filter(({ useful }) => !useful).length;
    return { value: `${((100 * padded) / parts.length).toFixed(0)} %`, caption: "of the places are padding" };
  },
  prose: () => (
    <>
      <p>
        A batch shares each read of the weights. But requests differ in length: in a fixed batch, all wait for
        the longest.
      </p>
      <p>
        <b>Continuous batching</b> decides before each step who takes part. A request that has finished frees
        its blocks, and another one is prefilled in its place. Each is at a position of its own, so each has
        its own rotation and mask. The tokens are the same.
      </p>
    </>
  ),
  figure: (app) => <BatchingFigure app={app} />,
  code: ["schedule", "raggedStep"],
};
