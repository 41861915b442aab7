import { parseArgs } from "node:util";
import { STUDIES, type Study } from "./bench/study.js";
import { main } from "./cli.js";

const { values } = parseArgs({
  options: { study: { type: "string" }, cache: { type: "string" } },
  strict: false,
});
const preset = values.cache === undefined ? "cases" : "caches";
const name = STUDIES.find((one) => one === values.study) ?? preset; // commander rejects an unknown one
const { study } = (await import(`./bench/studies/${name}.js`)) as { readonly study: Study };
await main(study.program, study.run);
