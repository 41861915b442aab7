import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { InputError } from "../../src/util/errors.js";
import { lastLine, type Outcome, run } from "../../src/util/run-command.js";
import { partOf } from "./artifacts.js";
import type { Environment } from "./environment.js";
import { parseWheelName, type Wheel } from "./release.js";

/** Downloads a wheel from PyPI and checks its sha256; it gets its name once it is complete. */
export async function downloadWheel(wheel: Wheel, path: string, environment: Environment): Promise<void> {
  const { project, version, python, abi, platform } = parseWheelName(wheel.file)!;
  const requirement = `${project.replaceAll("_", "-")}==${version} --hash=sha256:${wheel.sha256}`;
  const tags = ["--python-version", python.slice(2), "--implementation", "cp", "--abi", abi];
  const command = ["download", ...tags, "--platform", platform, "--dest"];
  await pip(command, [requirement], path, environment, (files) => rename(join(files, wheel.file), path));
}

/**
 * Installs packages for x64 in a temporary directory next to `near`; `take` moves the wanted files out of it.
 *
 * @param requirements in pip's format, with hashes
 */
export async function installPackages(
  requirements: readonly string[],
  near: string,
  environment: Environment,
  take: (files: string) => Promise<void>,
): Promise<void> {
  const platforms = ["manylinux_2_27_x86_64", "manylinux2014_x86_64", "manylinux2010_x86_64"];
  const tags = ["--python-version", "311", ...platforms.flatMap((platform) => ["--platform", platform])];
  await pip(["install", "--no-compile", ...tags, "--target"], requirements, near, environment, take);
}

/**
 * Runs pip, which shows its own progress on stderr. All that it writes is in one temporary directory: also its
 * temporary files, since /tmp may be small, and no cache.
 */
async function pip(
  command: readonly string[],
  requirements: readonly string[],
  near: string,
  environment: Environment,
  take: (files: string) => Promise<void>,
): Promise<void> {
  const part = partOf(`${near}.pip`);
  const [files, temporary, list] = ["files", "tmp", "requirements.txt"].map((name) => join(part, name)) as [
    string,
    string,
    string,
  ];
  try {
    await rm(part, { recursive: true, force: true });
    for (const directory of [files, temporary]) await mkdir(directory, { recursive: true });
    await writeFile(list, requirements.map((line) => `${line}\n`).join(""));
    const args = [
      "-m",
      "pip",
      ...command,
      files,
      "--no-cache-dir",
      "--disable-pip-version-check",
      "--no-input",
    ];
    args.push("--no-deps", "--only-binary=:all:", "--require-hashes", "--requirement", list);
    const env = { ...environment.env, TMPDIR: temporary, PIP_REQUIRE_VIRTUALENV: "0", PIP_USER: "0" };
    const outcome = await run("python3", args, env, environment.signal, "stderr");
    if (!outcome.ok) throw failure(outcome);
    await take(files);
  } finally {
    await rm(part, { recursive: true, force: true });
  }
}

function failure({ stderr, end }: Outcome): InputError {
  const mismatch = /Expected sha256 (\w+)\s+Got\s+(\w+)/.exec(stderr);
  if (mismatch) {
    return new InputError(
      `the sha256 of pip's download must be ${mismatch[1]}, got ${mismatch[2]}: check pip's index (python3 -m pip config list)`,
    );
  }
  // Without a network, pip's last line claims that there is no such version; the cause is in the warnings before.
  const connection = /connection broken by '(.*?)': /.exec(stderr)?.[1]?.replace(/^.*>: |'\)$/g, "");
  const errors = stderr.split("\n").filter((line) => line.startsWith("ERROR:")); // warnings may follow
  const reason = [connection, lastLine(errors.join("\n") || stderr) || end].filter(Boolean).join("; ");
  return new InputError(
    `pip failed ("${reason}"): check the network and pip's settings, or pass a wheel with --from`,
  );
}
