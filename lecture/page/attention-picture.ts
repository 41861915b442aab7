import { heat } from "./colours.js";
import type { Sheet } from "./picture.js";
import type { ShownRows, State } from "./shown-rows.js";

const HEIGHT = 420;
const HEADS = 22; // pixels above the lines, for the columns' names
const GAP = 10;
const LABELS_FROM = 12; // pixels a row, from which on it has room for its token

/** Lines that a picture has for so many positions: twice as many whenever they are full, in the same height. */
export function linesFor(positions: number, room: number): number {
  let lines = 32;
  while (lines < positions) lines *= 2;
  return Math.min(lines, room);
}

/**
 * The picture of one step's attention: a line a position, its key, how much the newest token takes of it, and its value,
 * so that K, the weights and V can be read across. Sizes in CSS pixels.
 */
export class AttentionPicture {
  private readonly lineHeight: number;
  /** Of the whole picture. */
  readonly height: number;

  constructor(private readonly rows: ShownRows) {
    const lines = Math.min(HEIGHT, rows.room * 18);
    this.lineHeight = lines / linesFor(rows.step.curPos, rows.room);
    this.height = lines + HEADS;
  }

  /** The position whose line is at a height; beyond the lines, the first or last. */
  positionAt(y: number): number {
    const line = Math.floor((y - HEADS) / this.lineHeight);
    return Math.max(0, Math.min(this.rows.step.curPos - 1, line));
  }

  /** @param marked the position that has a frame */
  draw(sheet: Sheet, marked: number): void {
    const { context } = sheet;
    const place = this.columns(sheet.width);
    context.fillStyle = sheet.soft;
    context.font = "12px system-ui, sans-serif";
    context.textBaseline = "top";
    context.fillText("K, keys", place.keys, 2);
    context.fillText("attention", place.attention, 2);
    context.fillText("V, values", place.values, 2);
    context.translate(0, HEADS);
    if (this.rows.cached) this.drawRoom(sheet, place);
    const most = Math.max(...this.rows.weights, 1e-9);
    for (let position = 0; position < this.rows.step.curPos; position++) {
      this.drawLine(sheet, place, position, most);
    }
    context.strokeStyle = sheet.ink;
    context.lineWidth = 1.5;
    context.strokeRect(
      place.gutter + 2,
      marked * this.lineHeight - 0.5,
      sheet.width - place.gutter - 3,
      Math.max(this.lineHeight, 4) + 1,
    );
    context.lineWidth = 1;
  }

  private columns(width: number): Columns {
    const gutter = this.lineHeight >= LABELS_FROM ? Math.min(110, width * 0.26) : 16;
    const weights = Math.min(100, width * 0.22);
    const each = (width - gutter - weights - 3 * GAP) / 2;
    const keys = gutter + GAP;
    const attention = keys + each + GAP;
    return { gutter, keys, each, weights, attention, values: attention + weights + GAP };
  }

  /** Frames what the cache has room for. */
  private drawRoom({ context, faint }: Sheet, place: Columns): void {
    context.strokeStyle = faint;
    context.setLineDash([3, 3]);
    for (const x of [place.keys, place.values]) {
      const height = this.rows.room * this.lineHeight; // what is beyond the edge is room too
      context.strokeRect(x + 0.5, 0.5, place.each - 1, height - 1);
    }
    context.setLineDash([]);
  }

  private drawLine(sheet: Sheet, place: Columns, position: number, most: number): void {
    const { rows, lineHeight: high } = this;
    const y = position * high;
    drawMark(sheet, rows.stateOf(position), place.gutter - 12, y, high);
    if (high >= LABELS_FROM) drawWord(sheet, rows.wordAt(position), place.gutter - 16, y, high);
    for (const [kind, x] of [
      ["key", place.keys],
      ["value", place.values],
    ] as const) {
      drawNumbers(sheet, rows.row(kind, position) ?? [], rows.scale(kind), [x, place.each], y, high);
    }
    sheet.context.fillStyle = sheet.ink;
    const share = (rows.weights[position] ?? 0) / most;
    sheet.context.fillRect(place.attention, y + high * 0.15, share * place.weights, Math.max(1, high * 0.7));
  }
}

/** Where columns begin, and how wide they are: `each` is K's and V's width, `weights` the attention's. */
interface Columns {
  readonly gutter: number;
  readonly keys: number;
  readonly attention: number;
  readonly values: number;
  readonly each: number;
  readonly weights: number;
}

function drawWord({ context, ink }: Sheet, word: string, width: number, y: number, high: number): void {
  context.fillStyle = ink;
  context.font = `${Math.min(12, high - 3)}px ui-monospace, monospace`;
  context.textBaseline = "middle";
  context.save();
  context.beginPath();
  context.rect(0, y, width, high);
  context.clip();
  context.fillText(word, 0, y + high / 2);
  context.restore();
}

/** A row of numbers as colours. */
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

/** Told apart by shape as well as by colour: filled, striped, or a thin line. */
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
