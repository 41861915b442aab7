import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { InputError } from "../../src/util/errors.js";
import { run } from "../../src/util/run-command.js";
import type { Environment } from "./environment.js";

/** pip's command, and what to do without it. */
export const PIP = ["python3", "-m", "pip"] as const;
export const NO_PIP =
  "install Python 3 with pip (Debian, Ubuntu: apt install python3-pip; macOS: xcode-select --install)";

/**
 * Unpacks Python packages, as pip would install them, into a directory that the caller removes. pip verifies their
 * hashes, and shows its progress and its errors itself.
 *
 * @param requirements in pip's format, with hashes
 */
export async function pip(
  requirements: readonly string[],
  directory: string,
  { platform, arch, env, signal }: Environment,
): Promise<void> {
  await mkdir(directory, { recursive: true });
  const list = join(directory, "requirements.txt");
  await writeFile(list, requirements.join("\n"));
  // The wheels are those for Python 3.11, whose version is not important to the C library: any pip can unpack them.
  const cpu = arch === "arm64" ? "aarch64" : "x86_64";
  const linux = ["manylinux_2_27", "manylinux2014", "manylinux2010"].map((tag) => `${tag}_${cpu}`);
  const platforms = platform === "darwin" ? ["macosx_12_0_arm64"] : linux;
  const python = ["--implementation", "cp", "--python-version", "311"];
  const target = [...python, ...platforms.flatMap((tag) => ["--platform", tag])];
  const [python3, ...args] = [...PIP, "install", "--target", directory, ...target, "--requirement", list];
  args.push("--require-hashes", "--no-deps", "--only-binary=:all:", "--no-compile", "--no-cache-dir");
  args.push("--disable-pip-version-check", "--no-input");
  const settings = { PIP_REQUIRE_VIRTUALENV: "0", PIP_USER: "0", TMPDIR: directory }; // /tmp may be small
  const { ok, end } = await run(python3!, args, { ...env, ...settings }, signal, "shown");
  if (ok) return;
  throw new InputError(
    `pip failed with ${end}, see its output above: check the network and pip's settings ` +
      "(python3 -m pip config list)",
  );
}
