import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { format } from "prettier";
import wabt from "wabt";
import { InputError } from "../src/index.js";
import { main } from "./cli.js";
import { writeWhole } from "./write-file.js";

const backendFile = (name: string): string =>
  fileURLToPath(new URL(`../src/backend/${name}`, import.meta.url));
const SOURCE = backendFile("wasm-matmul.wat");
const TARGET = backendFile("wasm-matmul-code.ts");

const program = new Command("npm run assemble --")
  .description("Makes src/backend/wasm-matmul-code.ts of wasm-matmul.wat.")
  .configureHelp({ helpWidth: 80 })
  .option("--check", "write nothing; fail where it is not what would be written");

await main<{ check?: true }>(program, async ({ check }) => {
  const { parseWat } = await wabt();
  const { buffer } = parseWat(SOURCE, await readFile(SOURCE, "utf8"), { simd: true }).toBinary({});
  const code = await format(
    `/** wasm-matmul.wat as \`npm run assemble\` wrote it: a WebAssembly module in base64, which a browser gets as it is. */\n` +
      `export const PRODUCTS = "${Buffer.from(buffer).toString("base64")}";`,
    { parser: "typescript", printWidth: 110 },
  );
  if (!check) return writeWhole(TARGET, code);
  if ((await readFile(TARGET, "utf8")) !== code) {
    throw new InputError(`${TARGET} is not made of ${SOURCE} as it is; \`npm run assemble\` mends that`);
  }
});
