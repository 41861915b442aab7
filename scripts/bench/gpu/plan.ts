import { type Execution, executionOptions } from "../case.js";

/** What of a card is measured. */
export interface Wanted {
  readonly executions: readonly Execution[];
  /** "on", "off" or both, in the order in which they are measured. */
  readonly tf32: readonly string[];
  readonly batch: readonly string[];
  readonly mode: "both" | "cached" | "uncached";
  readonly profile: boolean;
  readonly input: number;
  readonly output: number;
  readonly repeat: number;
}

/** One run of one of our commands. */
export interface Planned {
  readonly script: "bench" | "profile";
  /** For people. */
  readonly what: string;
  readonly args: readonly string[];
}

/** Everything that is to be measured, in order. With bfloat16 weights there is next to nothing for TF32 to round: once. */
export function plan(wanted: Wanted): Planned[] {
  const { executions, tf32 } = wanted;
  return tf32.flatMap((precision) =>
    executions
      .filter((way) => !way.includes("bf16") || precision === tf32.at(-1))
      .flatMap((way) => profiles(wanted, precision, way).concat(cells(wanted, precision, way))),
  );
}

/** The operations of a decode step, for the smallest batch there is and the last one named. */
function profiles({ batch, mode, profile, input }: Wanted, tf32: string, way: Execution): Planned[] {
  if (mode === "uncached" || !profile) return [];
  return [...new Set(["1", batch.at(-1)!])].map((size) => ({
    script: "profile",
    what: `profile, batch ${size}, TF32 ${tf32}, ${way}`,
    args: words({ tf32, ...executionOptions(way), batch: size, past: input }),
  }));
}

function cells({ batch, mode, ...sizes }: Wanted, tf32: string, execution: Execution): Planned[] {
  const { repeat, input, output } = sizes;
  return batch.flatMap((size) =>
    (mode === "both" ? ["cached", "uncached"] : [mode]).map((which) => ({
      script: "bench" as const,
      what: `bench, batch ${size}, ${which}, TF32 ${tf32}, ${execution}`,
      args: words({ tf32, execution, batch: size, mode: which, repeat, input, output }),
    })),
  );
}

const words = (options: object): string[] =>
  Object.entries(options).flatMap(([name, value]) => [`--${name}`, `${value}`]);
