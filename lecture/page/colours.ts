/** The page's current colours from the style sheet, so that pictures follow the light and dark theme. */
export interface Palette {
  readonly ink: string;
  readonly soft: string;
  readonly faint: string;
  readonly fresh: string;
  readonly past: string;
  readonly zero: Rgb;
  readonly negative: Rgb;
  readonly positive: Rgb;
}

type Rgb = readonly [red: number, green: number, blue: number];

/** Reads the palette from the document. */
export function palette(): Palette {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string): string => style.getPropertyValue(`--${name}`).trim();
  const rgb = (name: string): Rgb => {
    const hex = colour(name);
    return [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)) as unknown as Rgb;
  };
  return {
    ink: colour("ink"),
    soft: colour("soft"),
    faint: colour("line"),
    fresh: colour("new"),
    past: colour("past-line"),
    zero: rgb("heat-zero"),
    negative: rgb("heat-negative"),
    positive: rgb("heat-positive"),
  };
}

/** Maps a number to a colour: `negative` at -1, `zero` at 0, `positive` at 1. */
export function heat(value: number, { zero, negative, positive }: Palette): Rgb {
  const end = value < 0 ? negative : positive;
  const share = Math.min(1, Math.abs(value)) ** 0.8; // emphasizes small numbers, because most are small
  return zero.map((from, i) => Math.round(from + (end[i]! - from) * share)) as unknown as Rgb;
}
