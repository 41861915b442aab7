import { type Checks, must } from "../exercise.js";

/** Blocks 0 and 1 are a prefix of two sequences; 2 belongs to the second alone; 3 and 4 are free. */
function example() {
  const contents = ["once", "upon", "a", "", ""];
  const pool = {
    references: [2, 2, 1, 0, 0],
    free: [4, 3],
    copy: (from: number, to: number) => void (contents[to] = contents[from]!),
  };
  return { contents, pool, first: [0, 1], second: [0, 1, 2] };
}

/** The checks of exercise 9. */
export const checks: Checks<typeof import("./solution.js")> = ({ writableBlock }) => [
  {
    title: "a block with one reference is written as it is",
    run: () => {
      const { pool, second } = example();
      const block = writableBlock(pool, second, 2);
      must(block === 2, `Block 2 is in one table only, so it must be returned itself, got ${block}.`);
      must(`${pool.free}` === "4,3", "No block must be taken from the free ones: a copy would waste memory.");
    },
  },
  {
    title: "a shared block is copied, and the copy is in this table",
    run: () => {
      const { contents, pool, first } = example();
      const block = writableBlock(pool, first, 1);
      must(
        block === 3,
        `Block 1 is in two tables, so your function must return the free block 3, got ${block}.`,
      );
      must(
        contents[3] === "upon",
        "The free block must hold a copy of block 1: the positions before are needed.",
      );
      must(`${first}` === "0,3", `The first table must now be 0,3, got ${first}.`);
    },
  },
  {
    title: "the other sequence sees nothing of it",
    run: () => {
      const { contents, pool, first, second } = example();
      contents[writableBlock(pool, first, 1)] += " there";
      must(`${second}` === "0,1,2", `The second table must still be 0,1,2, got ${second}.`);
      must(contents[1] === "upon", `Block 1 must still hold "upon", got "${contents[1]}".`);
    },
  },
  {
    title: "references are counted for both blocks",
    run: () => {
      const { pool, first, second } = example();
      writableBlock(pool, first, 1);
      must(
        `${pool.references}` === "2,1,1,1,0",
        `The references must be 2,1,1,1,0, got ${pool.references}: block 1 loses one, its copy has one. A count that is ` +
          "too high is a leak, one that is too low frees a block in use.",
      );
      must(
        writableBlock(pool, second, 1) === 1,
        "The second sequence is now the only one with block 1, so it must not be copied again.",
      );
    },
  },
];
