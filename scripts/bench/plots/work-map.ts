import type { CapturedStep, Trace } from "../../../lecture/trace.js";
import { STYLE } from "./frame.js";

const LANE = 420; // width of one mode
const LEFT = 46; // "7:8" beside a row
const RIGHT = 26; // the end of the last token
const TOP = 122; // heading and tokens above a map
const CYCLE = "14s step-end 3"; // the drawing starts again after 14 seconds, and stays still after three times
const DRAWING = 65; // percent of the cycle in which rows appear

const TITLES = { uncached: "Without the KV cache", cached: "With the KV cache" };
const KINDS = { new: "computed for the first time", again: "computed again", read: "read from the cache" };

const MAP_STYLE = `
  svg { --new: #c1102c; --again: #efb0b9; --read: #e6e3dc; }
  @media (prefers-color-scheme: dark) { svg { --new: #ff6375; --again: #7a3540; --read: #30353d; } }
  text { fill: var(--ink); font-size: 12px; } .slice { fill: var(--faint); font-size: 11px; text-anchor: end; }
  .title { font-weight: 600; font-size: 14px; } .count { font-weight: 700; font-size: 30px; } .earlier { opacity: 0; }
  .new { fill: var(--new); } .again { fill: var(--again); } .read { fill: var(--read); }
`;

/**
 * Draws the work of a generation in both modes as an animated SVG: one row per step, one column per token, and a square
 * for each key/value pair that a layer computes or reads in one KV head.
 *
 * Where animations are off, and for readers who prefer reduced motion, it shows all steps.
 *
 * @param trace a generation from one prompt
 */
export function workMap({ prompts, steps, tokenStrings }: Trace): string {
  const columns = steps.at(-1)!.cached!.curPos;
  const size = (LANE - LEFT - RIGHT) / columns;
  const ids = [...prompts[0]!.ids, ...steps.map(({ cached }) => cached!.next[0]!.id)].slice(0, columns);
  const words = ids.map((id, i) => {
    const word = tokenStrings[id]!.replace(/^<\|.*/, "bos")
      .replace("&", "&amp;")
      .replace("<", "&lt;");
    return `<text transform="translate(${round(LEFT + (i + 0.7) * size)} ${TOP - 8}) rotate(-55)">${word.trim()}</text>`;
  });
  const lanes = (["uncached", "cached"] as const).map((mode, i) => {
    const own = steps.map((pair) => pair[mode]!);
    const rows = own.map((step, n) => row(step, own[n - 1]?.curPos ?? 0, TOP + n * size, size, `s${n}`));
    const title = `<text class="title" x="${LEFT}" y="18">${TITLES[mode]}</text>`;
    const parts = [title, ...totals(own), ...words, ...rows].join("\n");
    return `<g id="${mode}" transform="translate(${i * LANE} 0)">\n${parts}\n</g>`;
  });
  const y = Math.round(TOP + steps.length * size + 14);
  let x = LEFT;
  const legend = Object.entries(KINDS).map(([kind, text]) => {
    const entry = `<path class="${kind}" d="M${x} ${y}h13v13h-13z"/><text x="${x + 20}" y="${y + 11}">${text}</text>`;
    x += 44 + Math.round(text.length * 6.8); // wide enough in any common font
    return entry;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${2 * LANE} ${y + 20}" width="${2 * LANE}" height="${y + 20}" role="img">
<title>Key/value pairs computed in each step, without and with the KV cache</title>
${STYLE}<style>${MAP_STYLE}${animation(steps.length)}</style>
<rect width="100%" height="100%" fill="var(--paper)"/>
${[...lanes, ...legend].join("\n")}
<text class="slice" x="${x + 16}" y="${y + 11}">7:8</text><text x="${x + 22}" y="${y + 11}">prevPos:curPos</text>
</svg>
`;
}

/** The number of pairs computed up to each step; the last one is shown where animations are off. */
function totals(steps: readonly CapturedStep[]): string[] {
  let total = 0;
  return steps.map(({ inputIds }, i) => {
    total += inputIds[0]!.length;
    const earlier = i < steps.length - 1 ? " earlier" : "";
    return `<text class="n${i}${earlier}" x="${LEFT}" y="50"><tspan class="count">${total}</tspan> key/value pairs computed</text>`;
  });
}

/** One step; `known` positions were computed before it. */
function row(step: CapturedStep, known: number, y: number, size: number, name: string): string {
  const { prevPos, curPos, inputIds } = step;
  const [side, top] = [round(size - 1.6), round(y)];
  const squares = (kind: keyof typeof KINDS, from: number, to: number) => {
    const places = Array.from({ length: Math.max(0, to - from) }, (_, i) => round(LEFT + (from + i) * size));
    const path = places.map((x) => `M${x} ${top}h${side}v${side}h-${side}z`).join("");
    return path && `<path class="${kind}" d="${path}"/>`;
  };
  const computed = [squares("again", prevPos, known), squares("new", known, prevPos + inputIds[0]!.length)];
  const slice = `<text class="slice" x="${LEFT - 8}" y="${round(y + size / 2 + 3)}">${prevPos}:${curPos}</text>`;
  return `<g class="${name}">${slice}${squares("read", 0, prevPos)}${computed.join("")}</g>`;
}

/** Styles that show one row after the other, each with its total. */
function animation(steps: number): string {
  const rules = Array.from({ length: steps }, (_, i) => {
    const [from, to] = [i, i + 1].map((step) => round((DRAWING * step) / steps));
    const end = i < steps - 1 ? `${to}% { opacity: 0; }` : "";
    return `
    .s${i} { animation: s${i} ${CYCLE}; } .n${i} { animation: n${i} ${CYCLE}; }
    @keyframes s${i} { 0% { opacity: 0; } ${from}% { opacity: 1; } }
    @keyframes n${i} { 0% { opacity: 0; } ${from}% { opacity: 1; } ${end} }`;
  });
  return `  @media (prefers-reduced-motion: no-preference) {${rules.join("")}\n  }\n`;
}

const round = (number: number): string => `${Math.round(number * 10) / 10}`;
