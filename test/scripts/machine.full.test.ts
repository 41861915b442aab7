import { expect } from "chai";
import { machineFacts } from "../../scripts/machine.js";
import { findDriver } from "../../src/backend/nvidia.js";
import { isInstalled } from "../../src/backend/tensorflow.js";
import { setup } from "../../scripts/setup-tensorflow/setup.js";
import { tryBackend } from "../../scripts/setup-tensorflow/try-backend.js";
import { FakeEnvironment } from "./fake-environment.js";
import { run } from "./run-command.js";

describe("machine", () => {
  let fake: FakeEnvironment;
  beforeEach(() => (fake = new FakeEnvironment()));
  afterEach(() => fake.remove());

  it("reports the CPU, memory and versions of a machine without a GPU", async () => {
    const machine = await machineFacts(fake.env, fake.package);
    expect(machine).to.include({ node: process.version, tfjs: "4.22.0", arch: process.arch });
    expect(machine.cpu.cores).to.be.at.least(1);
    expect(machine.memory.availableBytes).to.be.within(1, machine.memory.totalBytes);
    expect(machine.nvidia).to.equal(null);
    expect(machine.tensorflow).to.equal(null);
    expect(JSON.parse(JSON.stringify(machine))).to.deep.equal(machine);
  });

  it("reads the driver and its GPUs from nvidia-smi", async () => {
    fake.driver("550.54.15");
    expect(await findDriver(fake.env)).to.deep.equal({
      version: "550.54.15",
      gpus: [
        {
          name: "NVIDIA H200",
          memoryBytes: 143771 * 2 ** 20,
          freeMemoryBytes: 143000 * 2 ** 20,
          computeCapability: "9.0",
        },
      ],
    });
  });

  it("reads no GPUs if nvidia-smi fails", async () => {
    fake.command("nvidia-smi", 'echo "Failed to initialize NVML: Driver/library version mismatch"; exit 18');
    expect(await findDriver(fake.env)).to.deep.equal({ gpus: [] });
  });

  it("reports the version that the setup has installed", async () => {
    await setup({}, fake.environment());
    const { tensorflow } = await machineFacts(fake.env, fake.package);
    expect(tensorflow).to.include({ version: "9.9.0" });
    expect(tensorflow?.cudaLibraries).to.deep.equal([]);
  });
});

describe("tryBackend", () => {
  it("computes with a backend in another process", async () => {
    expect(await tryBackend("cpu")).to.include({ usable: true, device: "cpu" });
  });

  it("reports why a backend does not load, in one sentence", async () => {
    const attempt = await tryBackend("abacus" as "cpu");
    expect(attempt).to.deep.equal({
      usable: false,
      reason: 'backend must be one of auto, tensorflow, wasm, cpu, got "abacus"',
    });
  });

  it("reports a backend whose process crashes", async () => {
    const { NODE_OPTIONS } = process.env;
    process.env["NODE_OPTIONS"] = "--import=data:text/javascript,process.abort()";
    try {
      const attempt = await tryBackend("cpu");
      expect(attempt).to.have.property("usable", false);
      expect(attempt)
        .to.have.property("reason")
        .that.matches(/^loading it ended with SIGABRT/);
    } finally {
      if (NODE_OPTIONS === undefined) delete process.env["NODE_OPTIONS"];
      else process.env["NODE_OPTIONS"] = NODE_OPTIONS;
    }
  });

  it("explains why TensorFlow is not on CUDA if that is required", async function () {
    if (!isInstalled() || (await findDriver(process.env))) this.skip();
    expect(await tryBackend("tensorflow", undefined, "cuda")).to.deep.equal({
      usable: false,
      reason: "device must be cpu on backend tensorflow, got cuda: this machine has no NVIDIA driver",
    });
  });
});

describe("npm run doctor", () => {
  it("reports the machine, each backend and the next command", async () => {
    const text = await run("doctor");
    expect(text).to.include({ code: 0, stderr: "" });
    expect(text.stdout).to.match(
      /^Machine\n  system .*\nBackends .*\n  tensorflow .*\n  wasm +works: .*\nNext\n  type /s,
    );
  });
});
