import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { format } from "prettier";
import wabt from "wabt";
import { InputError } from "../src/index.js";
import { main } from "./cli.js";
import { writeWhole } from "./write-file.js";

const COMMAND = "npx tsx scripts/assemble-wasm.ts";
const inBackend = (name: string): string => fileURLToPath(new URL(`../src/backend/${name}`, import.meta.url));
/** The modules, with the names under which their code is exported. */
const MODULES = { "wasm-matmul": "WASM_MATMUL", "wasm-elementwise": "WASM_ELEMENTWISE" };

const program = new Command(COMMAND)
  .description("Assembles src/backend/NAME.wat into NAME-code.ts.")
  .option("--check", "write nothing; fail if one of them is out of date");

await main<{ check?: true }>(program, async ({ check }) => {
  const { parseWat } = await wabt();
  for (const [name, constant] of Object.entries(MODULES)) {
    const [source, target] = [inBackend(`${name}.wat`), inBackend(`${name}-code.ts`)];
    const { buffer } = parseWat(source, await readFile(source, "utf8"), { simd: true }).toBinary({});
    const code = await format(
      `/** ${name}.wat as a WebAssembly module in base64, written by \`${COMMAND}\`. */\n` +
        `export const ${constant} = "${Buffer.from(buffer).toString("base64")}";`,
      { parser: "typescript", printWidth: 110 },
    );
    if (!check) await writeWhole(target, code);
    else if ((await readFile(target, "utf8")) !== code) {
      throw new InputError(`${target} must match ${source}, but is out of date: run ${COMMAND}`);
    }
  }
});
