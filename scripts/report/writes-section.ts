import type { WriteStudy } from "../write-strategies.js";
import { image, link, onMachine, paragraph, when } from "./files.js";

/** The study of write strategies: one paragraph, one plot. */
export function writesSection(file: string, study: WriteStudy): string {
  const { cells, sizes, machine, engines } = study;
  const longest = Math.max(...cells.map(({ length }) => length));
  const find = (engine: string, strategy: string) =>
    cells.find((cell) => cell.engine === engine && cell.strategy === strategy && cell.length === longest)!;
  const us = (value: number) => {
    if (value >= 1000) return `${(value / 1000).toFixed(1)} ms`;
    return `${value.toFixed(value < 10 ? 1 : 0)} µs`;
  };
  const parts = engines.map(({ name }) => {
    const [concat, scatter, inPlace] = ["concat", "scatter", "in place"].map((strategy) =>
      find(name, strategy),
    );
    return (
      `${name}: concat ${us(concat!.writeMicroseconds.median)}, scatter ${us(scatter!.writeMicroseconds.median)}, ` +
      `in place ${us(inPlace!.writeMicroseconds.median)}; with what attention reads ` +
      [concat, scatter, inPlace].map((cell) => us(cell!.writeAndReadMicroseconds.median)).join(", ")
    );
  });
  const [concat, scatter] = ["concat", "scatter"].map((strategy) => find(engines[0]!.name, strategy));
  return `### Three ways to write

${paragraph(
  `Adding position ${longest} to a layer's keys (${sizes.rows} rows of ${sizes.headDim} numbers, room for ${sizes.room}). ` +
    `${parts.join(". ")}. Concat makes a new tensor of all positions (${megabytes(concat!.writeBytes)}), scatter one of all ` +
    `the room (${megabytes(scatter!.writeBytes)}; in plain JavaScript it writes into its input as well), in place none. But TensorFlow.js hands attention the filled part as a slice, ` +
    `and a slice of the middle dimension is a copy of ${megabytes(concat!.writeBytes)} again: what the write saves over concat, the reading ` +
    `takes back, on each of these engines more or less; plain JavaScript's slice is slower than everything else together. ` +
    `What in place has for itself is memory that never moves, so that a step can be recorded once. ` +
    `(\`npm run write-strategies\`; ${onMachine(machine)}; ${when(study)}; ${link("samples", file)}.)`,
)}

${image("write-strategies.svg", "time to add a position, by the length, on each engine")}`;
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
