import type { Machine } from "../../machine.js";

/** "2 cores of an AMD EPYC, Node v20.20.2, TensorFlow 2.21.0". */
export function onMachine(
  { cpu, node, nvidia }: Machine,
  backend?: { readonly description: string },
): string {
  const card = nvidia?.gpus[0] ? `${nvidia.gpus[0].name} (driver ${nvidia.version}), ` : "";
  const library = /TensorFlow [\d.]+/.exec(backend?.description ?? "")?.[0];
  return `${card}${cpu.cores} cores of ${cpu.model}, Node ${node.replace("v", "")}${library ? `, ${library}` : ""}`;
}

/** When a file was measured, and which program. */
interface Measured {
  readonly date: string;
  readonly commit?: string | null;
  readonly changed?: boolean | null;
  /** The same commit after a rebase, where the one that was measured is in no branch any more. */
  readonly landedAs?: string;
}

/** "2026-11-24, commit abc1234". */
export function when({ date, commit, changed, landedAs }: Measured): string {
  const short = (hash: string) => hash.slice(0, 7);
  const landed = landedAs ? ` (landed as ${short(landedAs)})` : "";
  const where = commit ? `, commit ${short(commit)}${landed}${changed ? " and changes to it" : ""}` : "";
  return date.slice(0, 10) + where;
}
