import { readFileSync } from "node:fs";
import { Ajv2020 } from "ajv/dist/2020.js";
import { expect } from "chai";
import { fixture } from "../support.js";

const schema = JSON.parse(readFileSync(fixture("results/bench.schema.json"), "utf8")) as object;
const validate = new Ajv2020({ strict: true, allowUnionTypes: true, formats: { "date-time": true } }).compile(schema); // prettier-ignore

/** Fails unless the document is what fixtures/results/bench.schema.json says. */
export function expectValid(document: unknown): void {
  expect(validate(document), JSON.stringify(validate.errors)).to.equal(true);
}
