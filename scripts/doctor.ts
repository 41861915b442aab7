import { Command } from "commander";
import pc from "picocolors";
import { type BackendName, BACKENDS } from "../src/backend/backend.js";
import { formatBytes } from "../src/util/format.js";
import { main } from "./cli.js";
import { type Machine, machineFacts } from "./machine.js";
import { whyNotCuda } from "./setup-tensorflow/cuda.js";
import { type Attempt, tryBackend } from "./setup-tensorflow/try-backend.js";
import { count, jsonOf, verdict } from "./terminal.js";

type Backend = { readonly name: BackendName } & Attempt;

const program = new Command("npm run doctor --")
  .description("Show which backends work on this machine, why the others do not, and what to type next.")
  .option("--json", "print the facts as one JSON document");

await main<{ json?: boolean }>(program, async ({ json }, signal) => {
  const machine = await machineFacts();
  const backends: Backend[] = [];
  for (const name of BACKENDS) backends.push({ name, ...(await tryBackend(name, signal)) });
  if (json) {
    console.log(jsonOf({ machine, backends }, 2));
    return;
  }
  console.log(pc.bold("Machine"));
  for (const [title, text] of machineLines(machine)) print(title, text);
  console.log(`\n${pc.bold("Backends")} (TensorFlow.js ${machine.tfjs})`);
  for (const backend of backends) {
    const text = backend.usable ? working(backend, machine) : backend.reason;
    print(backend.name, `${verdict(backend.usable, backend.usable ? "works:" : "no:")} ${text}`);
  }
  console.log(`\n${pc.bold("Next")}`);
  const [command, purpose] = nextCommand(machine, backends);
  print("type", `${pc.cyan(command)} ${purpose}`);
});

function machineLines({ nvidia, ...machine }: Machine): [title: string, text: string][] {
  const { platform, arch, glibc, node, cpu, memory } = machine;
  const lines: [string, string][] = [
    ["system", `${platform} ${arch}${glibc ? `, glibc ${glibc}` : ""}, Node ${node}`],
    ["CPU", `${cpu.model}, ${count(cpu.cores, "core")}`],
    ["memory", `${formatBytes(memory.totalBytes)}, ${formatBytes(memory.availableBytes)} available`],
  ];
  const driver = `NVIDIA ${nvidia?.version ?? "of unknown version: nvidia-smi lists no GPUs"}`;
  lines.push(nvidia ? ["driver", driver] : ["GPU", "no NVIDIA driver found"]);
  for (const { name, computeCapability, memoryBytes, freeMemoryBytes } of nvidia?.gpus ?? []) {
    const sizes = `${formatBytes(memoryBytes)}, ${formatBytes(freeMemoryBytes)} free`;
    lines.push(["GPU", `${name}, compute capability ${computeCapability}, ${sizes}`]);
  }
  return lines;
}

function working(backend: Backend & { usable: true }, { nvidia, tensorflow }: Machine): string {
  const { name, device, description, milliseconds, cudaMessage } = backend;
  const detail = description.replace(/^\w+ \((.*)\)$/, "$1"); // its name is the line's title
  const text = `${detail}; starts in ${milliseconds} ms`;
  if (name !== "tensorflow" || device === "cuda" || !nvidia) return text;
  return `${text}; not on CUDA: ${whyNotCuda(nvidia, tensorflow, cudaMessage)}`;
}

function nextCommand(
  { tensorflowImpossible }: Machine,
  backends: readonly Backend[],
): [command: string, purpose: string] {
  const works = (name: BackendName) => backends.some((backend) => backend.name === name && backend.usable);
  if (!tensorflowImpossible && !works("tensorflow")) {
    return ["npm run setup:tensorflow", "to install the backend for larger models"];
  }
  return BACKENDS.some(works)
    ? ["npm start", "to generate a fairy tale"]
    : ["npm ci", "to install what is missing"];
}

function print(title: string, text: string): void {
  console.log(`  ${pc.dim(title.padEnd(11))} ${text}`);
}
