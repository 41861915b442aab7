import type { WriteCell, WriteStudy } from "../studies/cache-write.js";
import { image, link, listed, onMachine, paragraph, when } from "./files.js";

/** The study of write strategies: one paragraph, one plot. */
export function writesSection(file: string, study: WriteStudy): string {
  const { cells, sizes, machine, backends } = study;
  const longest = Math.max(...cells.map(({ length }) => length));
  const find = (backend: string, strategy: string) =>
    cells.find((cell) => cell.backend === backend && cell.strategy === strategy && cell.length === longest)!;
  const us = (value: number) => {
    if (value >= 1000) return `${(value / 1000).toFixed(1)} ms`;
    return `${value.toFixed(value < 10 ? 1 : 0)} µs`;
  };
  const parts = backends.map(({ name }) => {
    const [concat, scatter, inPlace] = ["concat", "scatter", "in place"].map((strategy) =>
      find(name, strategy),
    );
    return (
      `${name}: concat ${us(concat!.writeMicroseconds.median)}, scatter ${us(scatter!.writeMicroseconds.median)}, ` +
      `in place ${us(inPlace!.writeMicroseconds.median)}; with what attention reads ` +
      [concat, scatter, inPlace].map((cell) => us(cell!.writeAndReadMicroseconds.median)).join(", ")
    );
  });
  const cellsOf = ["concat", "scatter", "in place"].map((strategy) => find(backends[0]!.name, strategy));
  const [concat, scatter, inPlace] = cellsOf as [WriteCell, WriteCell, WriteCell];
  const copied = inPlace.writeAndReadBytes - inPlace.writeBytes;
  const whole = ({ name }: { readonly name: string }) => {
    const [best, other] = ["in place", "concat"].map(
      (strategy) => find(name, strategy).writeAndReadMicroseconds.median,
    );
    return `${decimals(best! / other!)} times on ${name}`;
  };
  return `### Three ways to write

${paragraph(
  `Adding position ${longest} to a layer's keys (${sizes.rows} rows of ${sizes.headDim} numbers, room for ${sizes.room}). ` +
    `${parts.join(". ")}. Concat takes ${megabytes(concat.writeBytes)} of new memory for a tensor of all positions, scatter ` +
    `${megabytes(scatter.writeBytes)} for one of all the room, in place ${megabytes(inPlace.writeBytes)}. But TensorFlow.js hands attention ` +
    `the filled part as a slice, and a slice of the middle dimension is a copy, of ${megabytes(copied)} here: together with it, ` +
    `in place takes ${listed(backends.map(whole))} as long as concat. ` +
    `What in place has for itself in any case is memory that never moves, so that a step can be recorded once. ` +
    `(\`npm run write-strategies\`; ${onMachine(machine)}; ${when(study)}; ${link("samples", file)}.)`,
)}

${image("write-strategies.svg", "time to add a position, by the length, on each backend")}`;
}

const decimals = (value: number): string => value.toFixed(value < 10 ? 1 : 0);

const megabytes = (bytes: number): string => (bytes === 0 ? "none" : `${(bytes / 1e6).toFixed(1)} MB`);
