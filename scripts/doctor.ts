import { Command } from "commander";
import pc from "picocolors";
import { main } from "./cli.js";
import { type BackendFacts, backendFacts, type Machine, machineFacts } from "./machine.js";
import { whyNotCuda } from "./setup-tensorflow/cuda.js";
import { jsonOf, verdict } from "./terminal.js";

const program = new Command("npm run doctor --")
  .description("Shows which backends work on this machine, why the others do not, and what to type next.")
  .option("--json", "print the facts as one JSON document");

await main<{ json?: boolean }>(program, async ({ json }, signal) => {
  const machine = await machineFacts();
  const backends = await backendFacts(signal);
  if (json) {
    console.log(jsonOf({ machine, backends }, 2));
    return;
  }
  console.log(pc.bold("Machine"));
  for (const [title, text] of machineLines(machine)) print(title, text);
  console.log(`\n${pc.bold("Backends")} (TensorFlow.js ${machine.tfjs})`);
  for (const backend of backends) {
    const { name, usable } = backend;
    const text = usable ? working(backend, machine) : backend.reason;
    print(name, `${verdict(usable, usable ? "works:" : "no:")} ${text}`);
  }
  console.log(`\n${pc.bold("Next")}`);
  const [command, purpose] = nextCommand(machine, backends);
  print("type", `${pc.cyan(command)} ${purpose}`);
});

function machineLines(machine: Machine): [title: string, text: string][] {
  const { platform, arch, glibc, node, cpu, memory, disk, nvidia, tensorflow } = machine;
  const lines: [string, string][] = [
    ["system", `${platform} ${arch}${glibc ? `, glibc ${glibc}` : ""}, Node ${node}`],
    ["CPU", `${cpu.model}, ${cpu.cores} ${cpu.cores === 1 ? "core" : "cores"}`],
    ["memory", `${gigabytes(memory.totalBytes)}, ${gigabytes(memory.availableBytes)} available`],
    ["disk", `${gigabytes(disk.freeBytes)} free here`],
  ];
  if (nvidia) {
    const { version = "of unknown version", cuda, problem } = nvidia;
    const supports = cuda ? `, supports CUDA up to ${cuda}` : "";
    lines.push(["driver", `NVIDIA ${version}${supports}${problem ? `; ${problem}` : ""}`]);
  }
  for (const { name, computeCapability, memoryBytes, freeMemoryBytes } of nvidia?.gpus ?? []) {
    const free = `${gigabytes(memoryBytes)}, ${gigabytes(freeMemoryBytes)} free`;
    lines.push(["GPU", `${name}, compute capability ${computeCapability}, ${free}`]);
  }
  if (!nvidia) lines.push(["GPU", "no NVIDIA driver found"]);
  if (tensorflow) {
    const { version, device, cudaLibraries, missingCudaLibraries } = tensorflow;
    const build = version ? `TensorFlow ${version}, built for ${device}` : "TensorFlow, not by our setup";
    lines.push(["installed", build]);
    if (device === "cuda") {
      const own = cudaLibraries.join(", ");
      const missing = missingCudaLibraries.length > 0 ? `not found: ${missingCudaLibraries.join(", ")}` : "";
      lines.push(["CUDA 12", [own, missing].filter(Boolean).join("; ") || "the system's libraries"]);
    }
  }
  return lines;
}

function working(backend: BackendFacts & { usable: true }, machine: Machine): string {
  const { name, device, description, milliseconds, cudaMessage } = backend;
  const detail = description.replace(/^\w+ \((.*)\)$/, "$1"); // its name is the line's title
  const text = `${detail}; starts in ${milliseconds} ms`;
  const explain = name === "tensorflow" && device === "cpu" && machine.nvidia;
  return explain
    ? `${text}; not on CUDA: ${whyNotCuda(machine.nvidia, machine.tensorflow, cudaMessage)}`
    : text;
}

function nextCommand(
  machine: Machine,
  backends: readonly BackendFacts[],
): [command: string, purpose: string] {
  const { nvidia, tensorflow: installed, tensorflowImpossible } = machine;
  const tensorflow = backends.find(({ name }) => name === "tensorflow");
  const setup = "npm run setup:tensorflow";
  if (!tensorflow?.usable) {
    if (!tensorflowImpossible) return [setup, "to install the backend for larger models"];
  } else if (nvidia && tensorflow.device === "cpu") {
    const complete = installed?.device === "cuda" && installed.missingCudaLibraries.length === 0;
    if (!complete) return [`${setup} -- --device cuda --with-cuda-libs`, "to compute on the GPU"];
  }
  const works = backends.some(({ usable }) => usable);
  return works ? ["npm start", "to generate a fairy tale"] : ["npm ci", "to install what is missing"];
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}

function print(title: string, text: string): void {
  console.log(`  ${pc.dim(title.padEnd(11))} ${text}`);
}
