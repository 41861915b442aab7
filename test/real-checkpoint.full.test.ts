import { spawnSync } from "node:child_process";
import { expect } from "chai";
import { root } from "./scripts/run-command.js";

describe("CHECKPOINT and GOLDENS", () => {
  if (process.env["CHECKPOINT"] || process.env["GOLDENS"]) return;
  for (const [set, missing] of [
    ["CHECKPOINT", "GOLDENS"],
    ["GOLDENS", "CHECKPOINT"],
  ] as const) {
    it(`fail the tests if only ${set} is set`, () => {
      const mocha = ["node_modules/mocha/bin/mocha.js", "test/real-checkpoint.test.ts"];
      const env = { ...process.env, [set]: "somewhere" };
      const { status, stdout } = spawnSync(process.execPath, mocha, { cwd: root, env, encoding: "utf8" });
      expect(stdout).to.include(`CHECKPOINT and GOLDENS must be set together, got ${set} without ${missing}`);
      expect(status).to.equal(1);
    });
  }
});
