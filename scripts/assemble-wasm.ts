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
const SOURCE = inBackend("wasm-matmul.wat");
const TARGET = inBackend("wasm-matmul-code.ts");

const program = new Command(COMMAND)
  .description("Assembles src/backend/wasm-matmul.wat into wasm-matmul-code.ts.")
  .option("--check", "write nothing; fail if wasm-matmul-code.ts is out of date");

await main<{ check?: true }>(program, async ({ check }) => {
  const { parseWat } = await wabt();
  const { buffer } = parseWat(SOURCE, await readFile(SOURCE, "utf8"), { simd: true }).toBinary({});
  const code = await format(
    `/** wasm-matmul.wat as a WebAssembly module in base64, written by \`${COMMAND}\`. */\n` +
      `export const WASM_MATMUL = "${Buffer.from(buffer).toString("base64")}";`,
    { parser: "typescript", printWidth: 110 },
  );
  if (!check) return writeWhole(TARGET, code);
  if ((await readFile(TARGET, "utf8")) !== code) {
    throw new InputError(`${TARGET} must match ${SOURCE}, but is out of date: run ${COMMAND}`);
  }
});
