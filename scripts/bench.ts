import { parseArgs } from "node:util";
import { STUDIES, type Study } from "./bench/study.js";
import { main } from "./cli.js";

const { values } = parseArgs({ options: { study: { type: "string" } }, strict: false });
const name = STUDIES.find((one) => one === values.study) ?? "cases"; // commander rejects an unknown one
const { study } = (await import(`./bench/studies/${name}.js`)) as { readonly study: Study };
await main(study.program, study.run);
