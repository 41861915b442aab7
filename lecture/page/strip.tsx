import type { VNode } from "preact";

/** Maps a number to a colour of the style sheet's scale: negative at -1, zero at 0, positive at 1. */
function heat(value: number): string {
  const share = Math.min(1, Math.abs(value)) ** 0.8; // emphasizes small numbers, because most are small
  const end = value < 0 ? "var(--negative)" : "var(--positive)";
  return `color-mix(in srgb, ${end} ${(100 * share).toFixed(0)}%, var(--zero))`;
}

interface Props {
  readonly values: Float32Array | undefined;
  /** The number that has the scale's last colour. */
  readonly scale: number;
  readonly name: string;
}

/** A vector as a strip of colours. */
export function Strip({ values, scale, name }: Props): VNode {
  if (!values) return <span class="strip" role="img" aria-label={`${name}: not captured`} />;
  const width = 100 / values.length;
  const stops = Array.from(
    values,
    (value, i) => `${heat(value / scale)} ${(i * width).toFixed(2)}% ${((i + 1) * width).toFixed(2)}%`,
  );
  return (
    <span
      class="strip"
      role="img"
      aria-label={`${name}, ${values.length} numbers`}
      style={{ backgroundImage: `linear-gradient(90deg, ${stops.join(",")})` }}
    />
  );
}
