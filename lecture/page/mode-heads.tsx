import { Fragment, type VNode } from "preact";
import type { ShownModes } from "./view.js";

/** Above two columns of a table, with the cache and without; or above one, where only that mode is shown. */
export function ModeHeads({ shown = "both" }: { shown?: ShownModes }): VNode {
  return (
    <>
      {shown !== "uncached" && (
        <th scope="col" class="cached">
          with
        </th>
      )}
      {shown !== "cached" && (
        <th scope="col" class="uncached">
          without
        </th>
      )}
    </>
  );
}

/** Columns about one thing: both modes', their ratio, or all three. */
interface Group {
  readonly name: string;
  readonly modes: boolean;
  readonly ratio: boolean;
}

/** The head of a table whose rows are batch sizes. */
export function BatchHeads({ groups }: { groups: readonly Group[] }): VNode {
  return (
    <thead>
      <tr>
        <th scope="col" rowSpan={2} class="left">
          batch
        </th>
        {groups.map(({ name, modes, ratio }) => (
          <th key={name} scope={modes ? "colgroup" : "col"} colSpan={2 * Number(modes) + Number(ratio)}>
            {name}
          </th>
        ))}
      </tr>
      <tr>
        {groups.map(({ name, modes, ratio }) => (
          <Fragment key={name}>
            {modes && <ModeHeads />}
            {ratio && <th scope="col">ratio</th>}
          </Fragment>
        ))}
      </tr>
    </thead>
  );
}
