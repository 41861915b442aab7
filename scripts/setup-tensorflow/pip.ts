import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { InputError } from "../../src/util/errors.js";
import { run } from "../../src/util/run-command.js";
import { partOf } from "./artifacts.js";
import type { Environment } from "./environment.js";
import type { Wheel } from "./release.js";

/** Moves or extracts files out of pip's directory, which is deleted afterwards. */
type Take = (files: string) => Promise<void>;

/** Downloads a wheel from PyPI. */
export async function downloadWheel(wheel: Wheel, near: string, environment: Environment, take: Take) {
  const tags = wheel.file.replace(/\.whl$/, "").split("-");
  const [project = "", version = "", python = "", abi = "", platform = ""] = tags;
  const requirement = `${project.replaceAll("_", "-")}==${version} --hash=sha256:${wheel.sha256}`;
  const target = ["--python-version", python.slice(2), "--implementation", "cp", "--abi", abi];
  const command = ["download", ...target, "--platform", platform, "--dest"];
  await pip(command, [requirement], near, environment, take);
}

/**
 * Downloads and unpacks packages for x64.
 *
 * @param requirements in pip's format, with hashes
 */
export async function installPackages(
  requirements: readonly string[],
  near: string,
  environment: Environment,
  take: Take,
): Promise<void> {
  const platforms = ["manylinux_2_27_x86_64", "manylinux2014_x86_64", "manylinux2010_x86_64"];
  const target = ["--python-version", "311", ...platforms.flatMap((platform) => ["--platform", platform])];
  await pip(["install", "--no-compile", ...target, "--target"], requirements, near, environment, take);
}

/**
 * Runs pip, which shows its progress and its errors itself, and checks the hashes. All that it writes is in one temporary
 * directory beside `near`: also its own temporary files, since /tmp may be small, and no cache.
 */
async function pip(
  command: readonly string[],
  requirements: readonly string[],
  near: string,
  environment: Environment,
  take: Take,
): Promise<void> {
  const part = partOf(`${near}.pip`);
  const files = join(part, "files");
  const temporary = join(part, "tmp");
  const list = join(part, "requirements.txt");
  try {
    await rm(part, { recursive: true, force: true });
    for (const directory of [files, temporary]) await mkdir(directory, { recursive: true });
    await writeFile(list, requirements.map((line) => `${line}\n`).join(""));
    const args = ["-m", "pip", ...command, files, "--no-deps", "--only-binary=:all:"];
    args.push("--no-cache-dir", "--disable-pip-version-check", "--no-input");
    args.push("--require-hashes", "--requirement", list);
    const env = { ...environment.env, TMPDIR: temporary, PIP_REQUIRE_VIRTUALENV: "0", PIP_USER: "0" };
    const { ok, end } = await run("python3", args, env, environment.signal, "shown");
    if (!ok) {
      throw new InputError(
        `pip failed with ${end}, see its output above: check the network and pip's settings ` +
          "(python3 -m pip config list), or pass a wheel with --from",
      );
    }
    await take(files);
  } finally {
    await rm(part, { recursive: true, force: true });
  }
}
