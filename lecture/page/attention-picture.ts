import { heat } from "./colours.js";
import type { Sheet } from "./picture.js";
import type { ShownPositions, State } from "./shown-positions.js";

const HEIGHT = 420;
const HEADER = 22; // pixels above the lines, for the names of the columns
const SPACING = 10;
const LABELS_FROM = 12; // line height in pixels from which the token is shown

/** Number of lines for so many positions, in a constant height: doubled whenever the lines are full. */
export function linesFor(positions: number, capacity: number): number {
  let lines = 32;
  while (lines < positions) lines *= 2;
  return Math.min(lines, capacity);
}

/**
 * Picture of one step's attention with one line for each position: its key, the newest token's attention weight, and its
 * value. Sizes in CSS pixels.
 */
export class AttentionPicture {
  private readonly lineHeight: number;
  /** Height of the whole picture. */
  readonly height: number;

  constructor(private readonly shown: ShownPositions) {
    const lines = Math.min(HEIGHT, shown.capacity * 18);
    this.lineHeight = lines / linesFor(shown.step.curPos, shown.capacity);
    this.height = lines + HEADER;
  }

  /** The position whose line is at a height, limited to the first and last. */
  positionAt(y: number): number {
    const line = Math.floor((y - HEADER) / this.lineHeight);
    return Math.max(0, Math.min(this.shown.step.curPos - 1, line));
  }

  /** @param marked the position to frame */
  draw(sheet: Sheet, marked: number): void {
    const { context } = sheet;
    const columns = this.layout(sheet.width);
    context.fillStyle = sheet.soft;
    context.font = "12px system-ui, sans-serif";
    context.textBaseline = "top";
    context.fillText("K, keys", columns.keys, 2);
    context.fillText("attention", columns.attention, 2);
    context.fillText("V, values", columns.values, 2);
    context.translate(0, HEADER);
    if (this.shown.cached) this.drawCapacity(sheet, columns);
    const most = Math.max(...this.shown.weights, 1e-9);
    for (let position = 0; position < this.shown.step.curPos; position++) {
      this.drawLine(sheet, columns, position, most);
    }
    context.strokeStyle = sheet.ink;
    context.lineWidth = 1.5;
    context.strokeRect(
      columns.gutter + 2,
      marked * this.lineHeight - 0.5,
      sheet.width - columns.gutter - 3,
      Math.max(this.lineHeight, 4) + 1,
    );
    context.lineWidth = 1;
  }

  private layout(width: number): Columns {
    const gutter = this.lineHeight >= LABELS_FROM ? Math.min(110, width * 0.26) : 16;
    const weights = Math.min(100, width * 0.22);
    const each = (width - gutter - weights - 3 * SPACING) / 2;
    const keys = gutter + SPACING;
    const attention = keys + each + SPACING;
    return { gutter, keys, each, weights, attention, values: attention + weights + SPACING };
  }

  /** Frames the capacity of the cache. */
  private drawCapacity({ context, faint }: Sheet, columns: Columns): void {
    context.strokeStyle = faint;
    context.setLineDash([3, 3]);
    for (const x of [columns.keys, columns.values]) {
      const height = this.shown.capacity * this.lineHeight; // may extend beyond the picture
      context.strokeRect(x + 0.5, 0.5, columns.each - 1, height - 1);
    }
    context.setLineDash([]);
  }

  private drawLine(sheet: Sheet, columns: Columns, position: number, most: number): void {
    const { shown, lineHeight: high } = this;
    const y = position * high;
    drawMark(sheet, shown.stateOf(position), columns.gutter - 12, y, high);
    if (high >= LABELS_FROM) drawText(sheet, shown.textAt(position), columns.gutter - 16, y, high);
    for (const [kind, x] of [
      ["key", columns.keys],
      ["value", columns.values],
    ] as const) {
      drawNumbers(sheet, shown.vector(kind, position) ?? [], shown.scale(kind), [x, columns.each], y, high);
    }
    sheet.context.fillStyle = sheet.ink;
    const share = (shown.weights[position] ?? 0) / most;
    sheet.context.fillRect(
      columns.attention,
      y + high * 0.15,
      share * columns.weights,
      Math.max(1, high * 0.7),
    );
  }
}

/** Left edges of the columns, and their widths: `each` for K and V, `weights` for the attention weights. */
interface Columns {
  readonly gutter: number;
  readonly keys: number;
  readonly attention: number;
  readonly values: number;
  readonly each: number;
  readonly weights: number;
}

function drawText({ context, ink }: Sheet, text: string, width: number, y: number, high: number): void {
  context.fillStyle = ink;
  context.font = `${Math.min(12, high - 3)}px ui-monospace, monospace`;
  context.textBaseline = "middle";
  context.save();
  context.beginPath();
  context.rect(0, y, width, high);
  context.clip();
  context.fillText(text, 0, y + high / 2);
  context.restore();
}

/** Draws a vector as colours. */
function drawNumbers(
  sheet: Sheet,
  values: ArrayLike<number>,
  scale: number,
  [x, width]: readonly [number, number],
  y: number,
  high: number,
): void {
  const each = width / values.length;
  for (let i = 0; i < values.length; i++) {
    sheet.context.fillStyle = `rgb(${heat(values[i]! / scale, sheet).join()})`;
    sheet.context.fillRect(x + i * each, y, each + 0.4, high - (high > 5 ? 1 : 0));
  }
}

/** Draws the state as a filled, striped or thin mark, so that it does not depend on colour alone. */
function drawMark({ context, fresh, past }: Sheet, state: State, x: number, y: number, high: number): void {
  const tall = Math.max(1, high - (high > 3 ? 1 : 0));
  if (state === "computed") {
    context.fillStyle = fresh;
    context.fillRect(x, y, 10, tall);
  } else if (state === "recomputed") {
    context.fillStyle = fresh;
    for (let i = 0; i < 3; i++) context.fillRect(x + 4 * i, y, 2, tall);
  } else {
    context.fillStyle = past;
    context.fillRect(x + 4, y, 2, high);
  }
}
