import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";

/** A point of a line. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

/** The values of one mode: a line with its name, and circles around single values. */
export interface ModeLine {
  readonly useCache: boolean;
  readonly line: readonly Point[];
  readonly circles: readonly Point[];
}

const SIZE = { width: 640, height: 384, marginTop: 88, marginLeft: 56, marginRight: 24, marginBottom: 44 };
const WIDEST = 1120; // the subtitle in a broad font: its characters times their size

/**
 * Colours as CSS variables, which follow the reader's light or dark theme, and the font. Both palettes have a contrast of
 * 4.5:1; the modes also differ in lightness, for readers who cannot tell the hues apart.
 */
export const STYLE = `<style>
  svg { --ink: #1f2328; --faint: #59636e; --paper: #ffffff; --with: #0b5cad; --without: #b8460b; }
  @media (prefers-color-scheme: dark) {
    svg { --ink: #e6edf3; --faint: #9198a1; --paper: #0d1117; --with: #6cb6ff; --without: #f0883e; }
  }
  svg, text { font-family: system-ui, -apple-system, "Segoe UI", "Liberation Sans", sans-serif; }
</style>`;

/**
 * A plot of both modes as an SVG file: readable on light and dark pages, in a browser, and as an image in a document.
 *
 * @param subtitle model, batch and backend
 * @param x        the horizontal axis
 * @param y        label of the vertical axis
 */
export function plot(
  title: string,
  subtitle: string,
  x: Plot.ScaleOptions,
  y: string,
  modes: readonly ModeLine[],
): string {
  const marks = modes.flatMap(({ useCache, line, circles }) => {
    const stroke = useCache ? "var(--with)" : "var(--without)";
    const text = [useCache ? "with the cache" : "without"];
    const halo = { stroke: "var(--paper)", strokeWidth: 5 };
    return [
      Plot.line(line, { x: "x", y: "y", stroke, strokeWidth: 2 }),
      Plot.dot(circles, { x: "x", y: "y", stroke, r: 3 }),
      Plot.text(line.slice(-1), { x: "x", y: "y", text, fill: stroke, dy: -10, textAnchor: "end", ...halo }),
    ];
  });
  const heading = { frameAnchor: "top-left", dx: -40, fill: "var(--ink)" } as const;
  const fontSize = Math.min(13, Math.floor(WIDEST / subtitle.length));
  const svg = Plot.plot({
    document: parseHTML("<html></html>").document,
    ...SIZE,
    style: { fontSize: "13px", color: "var(--ink)", background: "var(--paper)" },
    ariaLabel: title,
    x,
    y: { label: null, grid: true, zero: true, nice: true },
    marks: [
      ...marks,
      Plot.text([title], { ...heading, dy: -72, fontSize: 17, fontWeight: 600 }),
      Plot.text([subtitle], { ...heading, dy: -46, fontSize, fill: "var(--faint)" }),
      Plot.text([`↑ ${y}`], { ...heading, dy: -22 }),
    ],
  });
  svg.setAttribute("role", "img");
  svg.insertAdjacentHTML("beforeend", STYLE);
  return `${svg.outerHTML.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"')}\n`;
}
