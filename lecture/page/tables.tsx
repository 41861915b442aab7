import type { VNode } from "preact";
import type { App } from "./app.js";
import { MeasuredTable } from "./measured-table.js";
import { ResultTable } from "./result-table.js";

/** The source document's table and this repository's measurements. */
export function Tables({ app }: { app: App }): VNode {
  return (
    <div class="tables">
      <ResultTable />
      <MeasuredTable app={app} />
    </div>
  );
}
