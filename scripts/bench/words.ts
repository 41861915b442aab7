import type { Machine } from "../machine.js";
import type { Results } from "./results.js";

type Described = Pick<Results, "model" | "backends">;

/** Published models by their presets' names, as their makers write them. */
const PUBLISHED: Readonly<Record<string, string>> = {
  "llama-3.2-1b": "Llama 3.2 1B",
  "llama-3.2-3b": "Llama 3.2 3B",
  "smollm2-135m": "SmolLM2-135M",
};

/** The model that was measured: "the bundled model", "SmolLM2-135M's sizes". */
export function modelName({ model }: Described): string {
  const [name, random] = (model ?? "").split(", ");
  if (name === "fairy-tales") return "the bundled model";
  return random ? `${PUBLISHED[name!] ?? name}'s sizes` : name!;
}

/** A backend in a few words: "wasm", "TensorFlow 2.21.0 on cpu". */
export const backendName = ({ backends: [{ name, description }] }: Pick<Described, "backends">): string =>
  /^tensorflow \((.*)\)$/.exec(description)?.[1] ?? name;

/** "NVIDIA H200 (driver 580.159.04), 2 cores of AMD EPYC, Node 20.20.2, TensorFlow 2.21.0". */
export function onMachine(
  { cpu, node, nvidia }: Machine,
  backend?: { readonly description: string },
): string {
  const [gpu] = nvidia?.gpus ?? [];
  const library = /TensorFlow [\d.]+/.exec(backend?.description ?? "")?.[0];
  const cores = `${cpu.cores} cores of ${cpu.model.replaceAll(/\(R\)| Proc\S+/g, "")}`;
  const versions = [`Node ${node.replace("v", "")}`, ...(library ? [library] : [])];
  return [...(gpu ? [`${gpu.name} (driver ${nvidia!.version})`] : []), cores, ...versions].join(", ");
}

/** "2026-11-24, commit abc1234". */
export function when({ date, commit, changed }: Pick<Results, "date" | "commit" | "changed">): string {
  const at = commit ? `, commit ${commit.slice(0, 7)}${changed ? " with changes" : ""}` : "";
  return date.slice(0, 10) + at;
}
