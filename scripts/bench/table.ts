/** A table: the names of its columns, and its rows. */
export interface Table {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** A table whose columns are given by their names. */
export const tableOf = <Row>(
  rows: readonly Row[],
  columns: Readonly<Record<string, (row: Row) => string>>,
): Table => ({
  head: Object.keys(columns),
  rows: rows.map((row) => Object.values(columns).map((text) => text(row))),
});

/** Bytes in MB. */
export const megabytes = (bytes: number | null): string =>
  bytes === null ? "-" : (bytes / 1e6).toFixed(bytes < 100e6 ? 1 : 0);

/** For the terminal: values to the right, the last word of a column's name on a line of its own. */
export function alignedTable({ head, rows }: Table): string {
  const names = head.map((name) => [name.replace(/ ?\S+$/, ""), /\S*$/.exec(name)![0]]);
  const lines = [...[0, 1].map((line) => names.map((name) => name[line]!)), ...rows];
  const widths = head.map((_, i) => Math.max(...lines.map((line) => line[i]!.length)));
  return lines.map((line) => line.map((text, i) => text.padStart(widths[i]!)).join(" ")).join("\n");
}

/** The table in Markdown. */
export const markdownTable = ({ head, rows }: Table): string =>
  [head, head.map(() => "---"), ...rows].map((line) => `| ${line.join(" | ")} |`).join("\n");
