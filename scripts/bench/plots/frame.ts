import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";

const WIDTH = 640;
const HEIGHT = 320; // of the axes and what is in them
const WIDEST = 1120; // a line of text in a broad font: its characters times their size

/** Colours as CSS variables, which follow the reader's light or dark theme. */
export const COLOR = {
  with: "var(--with)",
  without: "var(--without)",
  third: "var(--third)",
  ink: "var(--ink)",
  faint: "var(--faint)",
};

// Both palettes have a contrast of 4.5:1; the modes also differ in lightness, for readers who cannot tell the hues apart.
const STYLE = `
  svg { --ink: #1f2328; --faint: #59636e; --paper: #ffffff; --with: #0b5cad; --without: #b8460b; --third: #6e40c9; }
  @media (prefers-color-scheme: dark) {
    svg { --ink: #e6edf3; --faint: #9198a1; --paper: #0d1117; --with: #6cb6ff; --without: #f0883e; --third: #c297ff; }
  }
  text { font-family: system-ui, -apple-system, "Segoe UI", "Liberation Sans", sans-serif; }
`;

/** Around text that may lie on a line. */
export const HALO = { stroke: "var(--paper)", strokeWidth: 5 } as const;

/**
 * A plot as an SVG file: readable on light and dark pages, in a browser, and as an image in a README.
 *
 * @param title    the finding
 * @param subtitle model, batch and backend
 * @param legend   names in the colours of the lines, where they do not fit beside them
 */
export function frame(
  title: string,
  subtitle: string,
  options: Plot.PlotOptions,
  legend: readonly { readonly name: string; readonly color: string }[] = [],
): string {
  const head = legend.length > 0 ? 86 : 64;
  const svg = Plot.plot({
    document: parseHTML("<html></html>").document,
    width: WIDTH,
    height: HEIGHT,
    marginTop: 24,
    marginLeft: 56,
    marginRight: 24,
    marginBottom: 44,
    ...options,
    style: { fontSize: "13px", color: COLOR.ink, background: "none" },
  });
  svg.setAttribute("y", `${head}`);
  const small = Math.min(13, Math.floor(WIDEST / subtitle.length));
  const names = legend.map(
    ({ name, color }, i) => `<tspan fill="${color}" dx="${i && 18}">${escape(name)}</tspan>`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${head + HEIGHT}" width="${WIDTH}" height="${head + HEIGHT}" role="img">
<title>${escape(title)}</title>
<style>${STYLE}</style>
<rect width="100%" height="100%" fill="var(--paper)"/>
<text x="16" y="28" font-size="17" font-weight="600" fill="${COLOR.ink}">${escape(title)}</text>
<text x="16" y="50" font-size="${small}" fill="${COLOR.faint}">${escape(subtitle)}</text>
<text x="16" y="74" font-size="13" font-weight="600">${names.join("")}</text>
${svg.outerHTML}
</svg>
`;
}

/** A line with its name over its end. */
export function namedLine(
  points: readonly { x: number; y: number }[],
  name: string,
  stroke: string,
): Plot.Markish {
  const label = { text: [name], fill: stroke, dy: -10, textAnchor: "end", fontWeight: 600, ...HALO } as const;
  return Plot.marks(
    Plot.line(points, { x: "x", y: "y", stroke, strokeWidth: 2 }),
    Plot.text(points.slice(-1), { x: "x", y: "y", ...label }),
  );
}

const escape = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
