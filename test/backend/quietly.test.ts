import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";

const NOISE = "I0000 00:00:1.2 3 port.cc:153] oneDNN custom operations are on. You may see";

/** What a shell's stderr gets from a library that writes to descriptor 2 while it loads, and from us afterwards. */
const PROGRAM = `
  import { writeSync } from "node:fs";
  import { quietly } from ${JSON.stringify(new URL("../../src/backend/quietly.ts", import.meta.url).href)};
  quietly(() => writeSync(2, "${NOISE}\\nan error that matters\\n"));
  console.log("out");
  console.error("after");
`;

function shell(redirection: string): string {
  const node = [process.execPath, "--import", "tsx", "--input-type=module", "-e"].join(" ");
  const { stdout, stderr } = spawnSync("sh", ["-c", `{ ${node} "$PROGRAM" ${redirection}; } 3>&1`], {
    env: { ...process.env, PROGRAM },
    encoding: "utf8",
  });
  return stdout + stderr;
}

describe("quietly", function () {
  before(function () {
    if (process.platform !== "linux") this.skip();
  });

  it("holds the noise back from a pipe, and nothing else", () => {
    expect(shell("2>&1 | cat")).to.equal("an error that matters\nout\nafter\n");
  });

  it("leaves a file alone: nothing of what is written there is lost or written over", () => {
    const directory = mkdtempSync(join(tmpdir(), "quietly-"));
    shell(`> ${directory}/log 2>&1`);
    expect(readFileSync(join(directory, "log"), "utf8")).to.equal(
      `${NOISE}\nan error that matters\nout\nafter\n`,
    );
    rmSync(directory, { recursive: true });
  });

  it("does no harm where stderr is closed", () => {
    expect(shell("2>&-")).to.equal("out\n");
  });

  it("does no harm where the reader of stderr is gone", () => {
    expect(shell("2>&1 >&3 | true")).to.equal("out\n");
  });
});
