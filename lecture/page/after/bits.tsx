import type { VNode } from "preact";
import type { Rounding } from "../../after/bits.js";
import { ROUNDINGS } from "../../after/settings.js";
import type { App } from "../app.js";
import { times } from "../format.js";
import { Strip } from "../strip.js";
import { Choices, choiceOf } from "./choices.js";
import { LossTable, lossNumber } from "./loss-table.js";
import { part, type Topic } from "./topic.js";

const BITS = [4, 8] as const;

/** Rows of each heat map; the others are left out. */
const ROWS = 16;

/** Index of a setting in `ROUNDINGS`. */
const indexOf = (bits: number, keys: "token" | "channel"): number =>
  ROUNDINGS.findIndex((one) => one.bits === bits && one.keys === keys);

const bitsOf = (app: App): number => BITS[choiceOf(app, BITS)]!;

/** One head's keys, an array of D for each position: as computed, and rounded. */
interface HeadKeys {
  readonly name: string;
  readonly keys: readonly Float32Array[];
  readonly rounded: readonly Float32Array[];
}

/** The keys of every head, layer by layer. */
function headsOf(app: App, { layers, positions }: Rounding): HeadKeys[] {
  const { nKvHeads, headDim: D } = app.run!.header.config;
  return layers.flatMap(({ keys, rounded }, layer) =>
    Array.from({ length: nKvHeads }, (_, head) => {
      const rows = (all: Float32Array) =>
        Array.from({ length: positions }, (__, p) =>
          all.subarray((head * positions + p) * D, (head * positions + p + 1) * D),
        );
      return { name: `layer ${layer}, KV head ${head}`, keys: rows(keys), rounded: rows(rounded) };
    }),
  );
}

const errorsOf = ({ keys, rounded }: HeadKeys): Float32Array[] =>
  keys.map((key, p) => key.map((x, i) => rounded[p]![i]! - x));

const sizes = (rows: readonly Float32Array[]): number[] => rows.flatMap((row) => Array.from(row, Math.abs));

const mean = (numbers: readonly number[]): number => numbers.reduce((sum, x) => sum + x, 0) / numbers.length;

function BitsFigure({ app }: { app: App }): VNode {
  const bits = bitsOf(app);
  if (part(app) === 3) {
    return (
      <LossTable
        app={app}
        demo="rounding"
        caption="bits, keys per"
        names={ROUNDINGS.map((one) => `${one.bits}, ${one.keys}`)}
        own={{ heading: "memory", of: (i) => ratio(app.demo("rounding", i)?.share) }}
      />
    );
  }
  const perChannel = app.demo("rounding", indexOf(bits, "channel"));
  const perToken = part(app) === 2 ? app.demo("rounding", indexOf(bits, "token")) : perChannel;
  if (!perChannel || !perToken) return <figure class="bits">Computing…</figure>;
  return (
    <figure class="bits">
      <Choices app={app} name="bits" options={BITS} />
      {part(app) < 2 ? (
        <OneNumber app={app} rounding={perChannel} bits={bits} />
      ) : (
        <Errors app={app} all={[perChannel, perToken]} bits={bits} />
      )}
    </figure>
  );
}

const ratio = (share: number | undefined): string =>
  share === undefined ? "…" : `÷ ${(1 / share).toFixed(1)}`;

/** One channel of a head's keys: its numbers on a line, and the levels that codes stand for. */
function OneNumber({ app, rounding, bits }: { app: App; rounding: Rounding; bits: number }): VNode {
  const { keys, rounded } = headsOf(app, rounding)[0]!;
  const channel = 0;
  const before = keys.map((key) => key[channel]!);
  const after = rounded.map((key) => key[channel]!);
  const [low, high] = [Math.min(...after), Math.max(...after)];
  const steps = 2 ** bits - 1;
  const scale = (high - low) / steps;
  const worst = before.reduce((at, _, i) => (off(i) > off(at) ? i : at), 0);
  function off(i: number): number {
    return Math.abs(after[i]! - before[i]!);
  }
  const left = (x: number) => 3 + (94 * (x - low)) / (high - low);
  const [x, y] = [before[worst]!, after[worst]!];
  const number = (value: number) => value.toFixed(3).replace("-", "−");
  return (
    <div class="one-number">
      <p>
        Above the line: channel 0 of {before.length} keys.
        {app.answered && ` Below: the ${steps + 1} numbers that ${bits} bits can stand for.`}
      </p>
      <svg viewBox="0 0 100 20" preserveAspectRatio="none" role="img" aria-label="keys on a line">
        <path class="axis" d="M0 12H100" />
        {app.answered && (
          <path
            class="level"
            d={Array.from({ length: steps + 1 }, (_, i) => `M${left(low + i * scale).toFixed(2)} 12v5`).join(
              "",
            )}
          />
        )}
        <path class="value" d={before.map((one) => `M${left(one).toFixed(2)} 3v7`).join("")} />
        {app.answered && <path class="chosen" d={`M${left(x).toFixed(2)} 1v11L${left(y).toFixed(2)} 12v7`} />}
      </svg>
      {app.answered && (
        <dl class="facts">
          <div>
            <dt>a key’s number</dt>
            <dd>{number(x)}</dd>
          </div>
          <div>
            <dt>stored as code</dt>
            <dd>{Math.round((y - low) / scale)}</dd>
          </div>
          <div>
            <dt>
              read as {number(low)} + code · {number(scale)}
            </dt>
            <dd>{number(y)}</dd>
          </div>
          <div>
            <dt>error</dt>
            <dd>{number(y - x)}</dd>
          </div>
        </dl>
      )}
    </div>
  );
}

interface ErrorsProps {
  readonly app: App;
  /** Keys per channel and keys per token. */
  readonly all: readonly [Rounding, Rounding];
  readonly bits: number;
}

/** The keys of one head, and their errors when they are rounded per channel and per token, in one scale. */
function Errors({ app, all, bits }: ErrorsProps): VNode {
  const [perChannel, perToken] = all.map((rounding) => headsOf(app, rounding)) as [HeadKeys[], HeadKeys[]];
  const error = (head: HeadKeys) => mean(sizes(errorsOf(head)));
  const worst = perToken.reduce((at, head, i) => (error(head) > error(perToken[at]!) ? i : at), 0);
  const { name: head, keys } = perToken[worst]!;
  const errors = [perChannel, perToken].map((heads) => errorsOf(heads[worst]!));
  const scale = Math.max(...sizes(errors[1]!));
  const inAll = (heads: readonly HeadKeys[]) =>
    `mean error ${mean(heads.map(error)).toFixed(3)} in all heads`;
  const maps = [
    [`keys, ${head}`, keys, Math.max(...sizes(keys)), "↓ tokens, → channels"],
    ["errors, keys per channel", errors[0]!, scale, inAll(perChannel)],
    ["errors, keys per token", errors[1]!, scale, inAll(perToken)],
  ] as const;
  return (
    <div class="heat-maps">
      {maps.map(([name, rows, most, legend]) => (
        <section key={name}>
          <h2>{name}</h2>
          <div class="heat-map" role="img" aria-label={`${name}, ${bits} bits`}>
            {rows.slice(0, ROWS).map((row, i) => (
              <Strip key={i} values={row} scale={most} name={`${name}, position ${i}`} />
            ))}
          </div>
          <p class="legend">{legend}</p>
        </section>
      ))}
    </div>
  );
}

/** Keys and values in fewer bits. */
export const QUANTIZED: Topic = {
  name: "Quantized cache",
  menu: "Bits",
  kind: "LOSSY",
  minutes: 7,
  notes: [
    "Four bits are sixteen levels between the smallest and the largest number of a group.",
    "Look at the keys’ columns: some channels are large at every token. A scale for each token must span them.",
    "So keys are rounded per channel, and values per token: KIVI.",
    "It saves memory, not time, unless attention reads the codes directly.",
  ],
  question: () => "A number of the cache has 32 bits. What is left of a key in 4?",
  answers: {
    1: () => "The nearest of 16 levels. A zero point and a scale, shared by a group, say where they are.",
    2: () => "Some channels are always large. Rounded per token, they make the steps of all others coarse.",
    3: () => "With 8 bits almost nothing. With 4 bits it depends on what shares a scale.",
  },
  number: (app) =>
    part(app) === 3
      ? lossNumber(app, "rounding", 0, "4 bits per channel")
      : {
          value: ratioNumber(app.demo("rounding", indexOf(bitsOf(app), "channel"))?.share),
          caption: "less memory than float32",
        },
  prose: () => (
    <>
      <p>
        A <b>quantized</b> cache stores integers: x ≈ zero + code · scale. Each group of numbers has its own
        zero point and scale, which also take memory.
      </p>
      <p>
        What shares a scale decides what is lost. Keys have channels that are large at every position, so they
        are rounded per channel, 32 positions together; values per token. The latest keys stay in float32
        until their group is complete.
      </p>
    </>
  ),
  figure: (app) => <BitsFigure app={app} />,
  code: ["codes"],
};

const ratioNumber = (share: number | undefined): string => (share === undefined ? "…" : times(1 / share));
