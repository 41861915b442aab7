import type { VNode } from "preact";
import type { App } from "./app.js";
import { CodeButton } from "./code-panel.js";
import type { CodeId } from "./code-links.js";
import { ModeHeaders } from "./mode-headers.js";

interface Part {
  readonly name: string;
  readonly code: CodeId;
  readonly shape: (s: Sizes) => readonly (number | string)[];
  /** The half of the block that it belongs to. */
  readonly half: "attention" | "feed-forward";
}

interface Sizes {
  readonly B: number;
  readonly T: number;
  readonly S: number;
  readonly C: number;
  readonly H: number;
  readonly K: number;
  readonly D: number;
  readonly F: number;
}

const PARTS: readonly Part[] = [
  { name: "RMSNorm", code: "rmsNorm", shape: ({ B, T, C }) => [B * T, C], half: "attention" },
  { name: "queries, rotated", code: "queries", shape: ({ B, T, H, D }) => [B * H, T, D], half: "attention" },
  { name: "new keys, rotated", code: "rotate", shape: ({ B, T, K, D }) => [B * K, T, D], half: "attention" },
  { name: "new values", code: "newKeys", shape: ({ B, T, K, D }) => [B * K, T, D], half: "attention" },
  {
    name: "all keys and values",
    code: "switch",
    shape: ({ B, S, K, D }) => [B * K, S, D],
    half: "attention",
  },
  {
    name: "attention weights",
    code: "weights",
    shape: ({ B, T, S, H, K }) => [B * K, (H / K) * T, S],
    half: "attention",
  },
  { name: "weights × values, · wo", code: "mixed", shape: ({ B, T, C }) => [B * T, C], half: "attention" },
  { name: "RMSNorm", code: "rmsNorm", shape: ({ B, T, C }) => [B * T, C], half: "feed-forward" },
  { name: "gate ⊙ up", code: "feedForward", shape: ({ B, T, F }) => [B * T, F], half: "feed-forward" },
  { name: "down", code: "feedForward", shape: ({ B, T, C }) => [B * T, C], half: "feed-forward" },
];

/** The parts of a block, with the shapes of this step's tensors in each mode. */
export function LayerDiagram({ app }: { app: App }): VNode | null {
  const { run, pair, view } = app;
  if (!run) return null;
  const {
    hiddenSize: C,
    nHeads: H,
    nKvHeads: K,
    headDim: D,
    intermediateSize: F,
    nLayers,
  } = run.header.config;
  const sizes = [pair?.cached, pair?.uncached].map((step) =>
    step
      ? { B: run.header.prompts.length, T: step.curPos - step.prevPos, S: step.curPos, C, H, K, D, F }
      : undefined,
  );
  const shown = [view.mode !== "uncached", view.mode !== "cached"];
  const halves = ["attention", "feed-forward"] as const;
  return (
    <figure class="diagram">
      <div class="scroll" tabIndex={0} role="region" aria-label="One layer">
        <table>
          <thead>
            <tr>
              <th scope="col">
                <span class="sr">half</span>
              </th>
              <th scope="col" class="left">
                layer {view.layer} of {nLayers}
              </th>
              <ModeHeaders shown={view.mode} />
            </tr>
          </thead>
          {halves.map((half) => {
            const parts = PARTS.filter((part) => part.half === half);
            return (
              <tbody key={half} class={half}>
                {parts.map(({ name, code, shape }, i) => (
                  <tr key={i}>
                    {i === 0 && (
                      <th scope="rowgroup" rowSpan={parts.length} class="half">
                        <span>{half}</span>
                      </th>
                    )}
                    <th scope="row">
                      <CodeButton app={app} id={code} label={name} />
                    </th>
                    {sizes.map((s, mode) => {
                      const other = sizes[1 - mode];
                      const differs = s && other && `${shape(s)}` !== `${shape(other)}`;
                      return (
                        shown[mode] && (
                          <td
                            key={mode}
                            class={`${mode === 0 ? "cached" : "uncached"}${differs ? " differs" : ""}`}
                          >
                            {s ? `[${shape(s).join(", ")}]` : "–"}
                          </td>
                        )
                      );
                    })}
                  </tr>
                ))}
                <tr class="sum">
                  <td colSpan={2 + Number(shown[0]) + Number(shown[1])}>
                    added to the residual stream, [B·T, {C}]
                  </td>
                </tr>
              </tbody>
            );
          })}
        </table>
      </div>
      <figcaption>
        Shapes of this step’s tensors: {run.header.prompts.length} sequences, hidden size {C}, {H} query
        heads, {K} KV heads, head dim {D}. Shapes that differ between the modes are bold; only those of{" "}
        <b>all keys and values</b> are equal. <CodeButton app={app} id="block" />
      </figcaption>
    </figure>
  );
}
