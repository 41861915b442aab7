import { Fragment, type VNode } from "preact";

/** Column headers "with" and "without" the cache. */
function ModeHeaders(): VNode {
  return (
    <>
      <th scope="col" class="cached">
        with
      </th>
      <th scope="col" class="uncached">
        without
      </th>
    </>
  );
}

/** A group of columns: both modes, their ratio, or all three. */
interface Group {
  readonly name: string;
  readonly modes: boolean;
  readonly ratio: boolean;
}

/** Header of a table with one line for each batch size. */
export function BatchHeaders({ groups }: { groups: readonly Group[] }): VNode {
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
            {modes && <ModeHeaders />}
            {ratio && <th scope="col">ratio</th>}
          </Fragment>
        ))}
      </tr>
    </thead>
  );
}
