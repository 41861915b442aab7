import { run } from "../../src/util/run-command.js";

/** Bytes in use on the first GPU, by any process; null without nvidia-smi. */
export async function usedOnGpu(): Promise<number | null> {
  const query = ["--query-gpu=memory.used", "--format=csv,noheader,nounits"];
  const { ok, stdout } = await run("nvidia-smi", query);
  return ok ? Number.parseInt(stdout, 10) * 2 ** 20 : null;
}
