import { Command } from "commander";
import pc from "picocolors";
import { type BackendFacts, backendFacts, type Machine, machineFacts } from "./machine.js";
import { whyNotCuda } from "./setup-tensorflow/self-test.js";
import { main } from "./cli.js";
import { jsonOf, verdict, type Word, wrapWords } from "./terminal.js";

const program = new Command("npm run doctor --")
  .description("Says which backends work on this machine, why the others do not, and what to type next.")
  .helpOption("-h, --help", "show this help")
  .configureHelp({ helpWidth: 80 })
  .option("--json", "print the facts as one JSON document");

await main<{ json?: boolean }>(program, async ({ json }, signal) => {
  const machine = await machineFacts();
  const backends = await backendFacts(signal);
  if (json) {
    console.log(jsonOf({ machine, backends }, 2));
    return;
  }
  console.log(pc.bold("Machine"));
  for (const [title, text] of machineLines(machine)) print(title, plain(text));
  console.log(`\n${pc.bold("Engines")} (TensorFlow.js ${machine.tfjs})`);
  for (const backend of backends) {
    const text = backend.usable ? working(backend, machine) : backend.reason;
    print(backend.name, [judgement(backend.usable), ...plain(text)]);
  }
  console.log(`\n${pc.bold("Next")}`);
  const [next, purpose] = nextCommand(machine, backends);
  print("type", [{ text: next, mark: pc.cyan }, ...plain(purpose)]);
});

function machineLines(machine: Machine): [title: string, text: string][] {
  const { platform, arch, glibc, node, cpu, memory, disk, nvidia, tensorflow } = machine;
  const lines: [string, string][] = [
    ["system", `${platform} ${arch}${glibc ? `, glibc ${glibc}` : ""}, Node ${node}`],
    ["processor", `${cpu.model}, ${cpu.cores} ${cpu.cores === 1 ? "core" : "cores"}`],
    ["memory", `${gigabytes(memory.totalBytes)}, ${gigabytes(memory.availableBytes)} available`],
    ["disk", `${gigabytes(disk.freeBytes)} free here`],
  ];
  if (nvidia) {
    const { version, cuda, gpus, problem } = nvidia;
    const knows = cuda ? `, knows CUDA up to ${cuda}` : "";
    lines.push([
      "driver",
      `NVIDIA ${version ?? "of unknown version"}${knows}${problem ? `; ${problem}` : ""}`,
    ]);
    for (const gpu of gpus) {
      const free = `${gigabytes(gpu.memoryBytes)}, ${gigabytes(gpu.freeMemoryBytes)} free`;
      lines.push(["GPU", `${gpu.name}, compute capability ${gpu.computeCapability}, ${free}`]);
    }
  } else {
    lines.push(["GPU", "no NVIDIA driver found"]);
  }
  if (tensorflow) {
    const { version, device, cudaLibraries, missingCudaLibraries } = tensorflow;
    const build = version ? `TensorFlow ${version}, built for ${device}` : "TensorFlow, not by our setup";
    lines.push(["installed", build]);
    if (device === "cuda") {
      const own = cudaLibraries.map((library) => library.replace(/^nvidia-(.*)-cu12/, "$1")).join(", ");
      const absent = missingCudaLibraries.length > 0 ? `not found: ${missingCudaLibraries.join(", ")}` : "";
      lines.push(["CUDA 12", [own, absent].filter(Boolean).join("; ") || "libraries found on the system"]);
    }
  }
  return lines;
}

function working(backend: BackendFacts & { usable: true }, machine: Machine): string {
  const { name, device, description, milliseconds, said } = backend;
  const detail = description.replace(/^\w+ \((.*)\)$/, "$1"); // its name is in the margin
  const text = `${detail}; starts in ${milliseconds} ms`;
  const { nvidia: driver, tensorflow } = machine;
  if (name !== "tensorflow" || device === "cuda" || !driver || !tensorflow) return text;
  const { device: builtFor, missingCudaLibraries: missingLibraries } = tensorflow;
  return `${text}; not on CUDA: ${whyNotCuda({ driver, device: builtFor, missingLibraries }, said)}`;
}

function nextCommand(
  machine: Machine,
  backends: readonly BackendFacts[],
): [command: string, purpose: string] {
  const tensorflow = backends.find(({ name }) => name === "tensorflow");
  const setup = "npm run setup:tensorflow";
  if (!machine.tensorflowImpossible) {
    const withCard = machine.nvidia ? " (on the card)" : "";
    if (!machine.tensorflow)
      return [setup, `to get the backend for larger models${withCard}, or npm start to go without`];
    if (!tensorflow?.usable) return [setup, "to repair the tensorflow backend"];
    if (machine.nvidia && tensorflow.device === "cpu") {
      const complete =
        machine.tensorflow.device === "cuda" && machine.tensorflow.missingCudaLibraries.length === 0;
      if (complete) return ["nvidia-smi", "to see what the driver says about the card"];
      return [`${setup} -- --device cuda --with-cuda-libs`, "to compute on the card"];
    }
  }
  const best = backends.find(({ usable }) => usable);
  return best
    ? ["npm start", `to hear a fairy tale, on ${best.name}`]
    : ["npm ci", "to install what is missing"];
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}

function judgement(usable: boolean): Word {
  return { text: usable ? "works:" : "no:", mark: (text) => verdict(usable, text) };
}

/** Words without a colour. */
function plain(text: string): Word[] {
  const texts = text.split(" ").filter((part) => part !== "");
  return texts.map((part) => ({ text: part, mark: (unmarked) => unmarked }));
}

/** A title in the margin and words beside it. */
function print(title: string, words: readonly Word[]): void {
  console.log(`  ${pc.dim(title.padEnd(11))} ${wrapWords(words, 14)}`);
}
