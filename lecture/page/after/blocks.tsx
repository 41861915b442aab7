import type { VNode } from "preact";
import type { BlockTables, SharedBlocks } from "../../after/blocks.js";
import { BLOCK_SIZES } from "../../after/settings.js";
import type { App } from "../app.js";
import { difference } from "../format.js";
import { label } from "../tokens.js";
import { Choices, choiceOf } from "./choices.js";
import { part, type Topic } from "./topic.js";

const demo = (app: App): SharedBlocks | undefined => app.demo("sharedBlocks", choiceOf(app, BLOCK_SIZES));

/** The moment of a build: after the prefix, after the first step, at the end. */
function momentOf(app: App, { moments }: SharedBlocks): BlockTables {
  return part(app) <= 1 ? moments[0]! : part(app) === 2 ? moments[1]! : moments.at(-1)!;
}

/** Positions that were stored before a moment. */
const lengthBefore = (moment: BlockTables, { moments }: SharedBlocks): number =>
  moments[moments.indexOf(moment) - 1]?.length ?? moment.length;

function BlocksFigure({ app }: { app: App }): VNode {
  const shared = demo(app);
  if (!shared) return <figure class="blocks">Computing…</figure>;
  const moment = momentOf(app, shared);
  const prefixTable = shared.moments[0]!.tables[0]!;
  const tables = [prefixTable, ...moment.tables];
  const columns = Math.max(...shared.moments.at(-1)!.tables.map(({ length }) => length));
  return (
    <figure class="blocks">
      <div class="settings">
        <Choices app={app} name="positions of a block" options={BLOCK_SIZES} />
        {app.answered && (
          <p class="agreement">
            logits differ by <b>{difference(shared.largestDifference)}</b>
          </p>
        )}
      </div>
      <table>
        <thead>
          <tr>
            <th scope="col" class="left">
              <span class="wide">block table of</span>
            </th>
            {Array.from({ length: columns }, (_, i) => (
              <th key={i} scope="col">
                {i * shared.blockSize}
                <span class="wide">–{(i + 1) * shared.blockSize - 1}</span>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {Array.from(tables.keys(), (row) => (
            <tr key={row}>
              <th scope="row">
                {row === 0 ? (
                  "prefix"
                ) : (
                  <>
                    <span class="wide">request </span>
                    {row}
                  </>
                )}
              </th>
              {app.answered &&
                Array.from({ length: columns }, (_, i) => (
                  <BlockBox key={i} shared={shared} moment={moment} tables={tables} row={row} column={i} />
                ))}
              {!app.answered && (
                <td colSpan={columns} class="left">
                  {row === 0
                    ? "?"
                    : shared.tokens[row - 1]!.slice(1, shared.prefix + 2)
                        .map(label)
                        .join(" ")}
                </td>
              )}
            </tr>
          ))}
        </tbody>
      </table>
      {app.answered && <Pool shared={shared} moment={moment} tables={tables} />}
    </figure>
  );
}

interface BlockProps {
  readonly shared: SharedBlocks;
  readonly moment: BlockTables;
  /** The prefix's table, then that of each request. */
  readonly tables: readonly (readonly number[])[];
  readonly row: number;
  readonly column: number;
}

/** A block with its tokens. One that several tables have spans their rows. */
function BlockBox({ shared, moment, tables, row, column }: BlockProps): VNode | null {
  const block = tables[row]![column];
  if (block === undefined) return <td class="none" />;
  if (row > 0 && tables[row - 1]![column] === block) return null;
  const rows = tables.slice(row).findIndex((table) => table[column] !== block);
  const rowSpan = rows < 0 ? tables.length - row : rows;
  const { blockSize, prefix, tokens, moments } = shared;
  const before = lengthBefore(moment, shared);
  const length = row === 0 || rowSpan === tables.length ? prefix : moment.length;
  const copied = row > 0 && moments[0]!.tables[0]![column] !== undefined && rowSpan === 1;
  return (
    <td rowSpan={rowSpan} class={rowSpan > 1 ? "block common" : "block"}>
      <b>{block}</b>
      {copied && <small class="wide">copy of {moments[0]!.tables[0]![column]}</small>}
      <span class="positions">
        {Array.from({ length: blockSize }, (_, i) => {
          const position = column * blockSize + i;
          const kind = position >= length ? "free" : position >= before && row > 0 ? "new" : "kept";
          const text = position < length ? label(tokens[Math.max(0, row - 1)]![position]) : "";
          return (
            <i key={i} class={`position ${kind}`}>
              <span class="wide">{text}</span>
            </i>
          );
        })}
      </span>
    </td>
  );
}

/** All blocks of the pool, with the number of tables that refer to each. */
function Pool({ shared, moment, tables }: Omit<BlockProps, "row" | "column">): VNode {
  const references = (block: number) => tables.filter((table) => table.includes(block)).length;
  return (
    <div class="pool">
      <span>
        {moment.used} of {shared.blocks} blocks in use<span class="wide">; × references</span>
      </span>
      <span class="pool-blocks">
        {Array.from({ length: shared.blocks }, (_, block) => {
          const count = references(block);
          return (
            <i key={block} class={count > 0 ? "block" : "block none"}>
              {block}
              {count > 1 && <b>×{count}</b>}
            </i>
          );
        })}
      </span>
    </div>
  );
}

/** Memory in blocks: nothing is reserved, and a common prefix is stored once. */
export const PAGED: Topic = {
  name: "Pages, shared prefixes",
  menu: "Pages",
  kind: "EXACT",
  minutes: 8,
  notes: [
    "An operating system’s pages: a block table maps positions to blocks anywhere in memory.",
    "The same system prompt for every user: its keys and values are the same, because attention is causal.",
    "Copy on write: the last block of the prefix has free positions. The first request that writes there gets its own copy.",
  ],
  question: () => "Three requests begin with the same words. How often are those keys and values stored?",
  answers: {
    1: () => "Once. Each request has a table of block numbers, and all three name the same blocks.",
    2: () => "The last block is shared and not full. Before a request writes to it, it gets a copy.",
    3: () => "Each takes blocks as it grows, in any order. Only its last block has unused positions.",
  },
  number: (app) => {
    const shared = demo(app);
    if (!shared) return { value: "…", caption: "" };
    const { used, length, tables } = momentOf(app, shared);
    const alone = tables.length * Math.ceil(length / shared.blockSize);
    return {
      value: `${used} of ${alone}`,
      caption: "blocks, with sharing and without",
    };
  },
  prose: () => (
    <>
      <p>
        The plain cache reserves one contiguous tensor for each request, as long as it may ever get. A{" "}
        <b>paged</b> cache takes fixed-size blocks from a pool, and frees them when the last request that
        refers to them has ended.
      </p>
      <p>
        Prefixes are shared by counting references: one system prompt, many users. Attention reads the same
        keys and values through the table, so the logits are the same.
      </p>
    </>
  ),
  figure: (app) => <BlocksFigure app={app} />,
  code: ["findBlocks", "blockPool"],
};
