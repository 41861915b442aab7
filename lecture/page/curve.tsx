import * as Plot from "@observablehq/plot";
import { Component, createRef, type VNode } from "preact";
import type { CapturedStep } from "../trace.js";
import type { App } from "./app.js";
import { stepOf } from "./run.js";

/** Quantities that the curve can show. */
const METRICS = [
  { id: "ms", title: "milliseconds", of: ({ ms }: CapturedStep) => ms },
  { id: "flops", title: "operations", of: ({ cost }: CapturedStep) => cost.flops },
  { id: "kv", title: "K/V entries computed", of: ({ cost }: CapturedStep) => cost.kvPairsComputed },
] as const;

/** Chart of a quantity of each step in both modes, which grows as the generation runs. */
export class Curve extends Component<{ app: App }> {
  private readonly container = createRef<HTMLDivElement>();
  private readonly resized = new ResizeObserver(() => this.plot());

  override componentDidMount(): void {
    this.resized.observe(this.container.current!);
    this.plot();
  }

  override componentDidUpdate(): void {
    this.plot();
  }

  override componentWillUnmount(): void {
    this.resized.disconnect();
  }

  private plot(): void {
    const { app } = this.props;
    const container = this.container.current;
    if (!container) return;
    const { of, title } = METRICS.find(({ id }) => id === app.view.curve)!;
    const shown = (app.run?.steps ?? []).slice(0, app.view.step);
    const line = (cached: boolean) =>
      shown.flatMap((pair) => {
        const step = stepOf(pair, cached);
        return step ? [{ step: step.iteration, value: of(step) }] : [];
      });
    const modes = [
      {
        data: line(true),
        stroke: "var(--cached)",
        dash: "none",
        name: "with",
        hidden: app.view.mode === "uncached",
      },
      {
        data: line(false),
        stroke: "var(--uncached)",
        dash: "6 3",
        name: "without",
        hidden: app.view.mode === "cached",
      },
    ].filter(({ hidden, data }) => !hidden && data.length > 0);
    const last = (cached: boolean): number => line(cached).at(-1)?.value ?? 0;
    const upper = last(true) > last(false) ? "with" : "without";
    const width = container.clientWidth;
    const chart = Plot.plot({
      width,
      height: 260,
      marginLeft: 52,
      marginRight: 76,
      style: { background: "none", fontSize: "13px", fontFamily: "inherit" },
      x: {
        label: "step",
        domain: [1, Math.max(2, app.length)],
        ticks: Math.min(10, width / 70),
        tickFormat: "d",
      },
      y: {
        label: title,
        grid: true,
        zero: true,
        nice: true,
        ticks: 5,
        tickFormat: "~s",
      },
      marks: [
        ...modes.map(({ data, stroke, dash }) =>
          Plot.lineY(data, { x: "step", y: "value", stroke, strokeWidth: 2.5, strokeDasharray: dash }),
        ),
        ...modes.map(({ data, stroke, name }) =>
          Plot.text(data.slice(-1), {
            x: "step",
            y: "value",
            text: () => name,
            fill: stroke,
            dx: 8,
            dy: name === upper ? -7 : 7, // keeps the labels apart where the modes are equal
            textAnchor: "start",
            fontWeight: 600,
          }),
        ),
        ...modes.map(({ data, stroke }) =>
          Plot.dot(data.slice(-1), { x: "step", y: "value", fill: stroke, r: 4 }),
        ),
        Plot.ruleY([0]),
      ],
    });
    for (const part of chart.querySelectorAll("[aria-label]")) part.removeAttribute("aria-label"); // the chart has one label
    chart.setAttribute("role", "img");
    chart.setAttribute("aria-label", `${title} of each step, with the cache and without`);
    container.replaceChildren(chart);
  }

  override render({ app }: { app: App }): VNode {
    return (
      <figure class="curve">
        <div class="segments" role="group" aria-label="Quantity">
          {METRICS.map(({ id, title }) => (
            <button
              key={id}
              type="button"
              aria-pressed={id === app.view.curve}
              onClick={() => app.show({ curve: id })}
            >
              {title}
            </button>
          ))}
        </div>
        <div ref={this.container} class="chart" />
        <figcaption>
          {app.view.curve === "ms"
            ? `Measured on ${app.run?.header.backend ?? "…"}. Other work on the machine affects it.`
            : "Exact, computed from the model’s configuration and the number of positions."}
        </figcaption>
      </figure>
    );
  }
}
