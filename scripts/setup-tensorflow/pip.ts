import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { InputError } from "../../src/util/errors.js";
import { lastLine, type Outcome, run } from "../../src/util/run-command.js";
import { bytesOf, partOf } from "./pieces.js";
import type { Place } from "./place.js";
import { parseWheelName, type PythonPackage, type Wheel } from "./release.js";

/** Refuses to start without pip, which knows the user's index, proxy and certificates. */
export async function checkPip(place: Place, wheel: Wheel): Promise<void> {
  const { ok, missing, stderr } = await run("python3", ["-m", "pip", "--version"], place.env, place.signal);
  if (ok) return;
  const orFrom = `or download ${wheel.file} elsewhere and give it with --from`;
  throw new InputError(
    missing
      ? `python3 is not on the PATH, and its pip is what downloads TensorFlow: install Python 3 with pip, ${orFrom}`
      : `python3 has no working pip ("${lastLine(stderr)}"): install it (Debian, Ubuntu: apt install python3-pip), ${orFrom}`,
  );
}

/** Downloads a wheel from PyPI, checked by its sha256; it appears under its name only when it is whole. */
export async function downloadWheel(wheel: Wheel, path: string, place: Place): Promise<void> {
  const { project, version, python, abi, platform } = parseWheelName(wheel.file)!;
  const requirement = { name: project.replaceAll("_", "-"), version, sha256: wheel.sha256 };
  const options = ["download", "--dest", "FILES"];
  const tags = ["--python-version", python.slice(2), "--implementation", "cp", "--abi", abi];
  const args = [...options, ...tags, "--platform", platform];
  const title = `downloading ${wheel.file}`;
  await pip(args, [requirement], title, wheel.bytes, path, place, (part) =>
    rename(join(part, "FILES", wheel.file), path),
  );
}

/** Installs packages into a directory of their own; `take` moves what is wanted out of it. */
export async function installPackages(
  packages: readonly PythonPackage[],
  title: string,
  bytes: number,
  directory: string,
  place: Place,
  take: (files: string) => Promise<void>,
): Promise<void> {
  const platforms = ["manylinux_2_27_x86_64", "manylinux2014_x86_64", "manylinux2010_x86_64"];
  const args = ["install", "--target", "FILES", "--no-compile", "--python-version", "311"];
  args.push(...platforms.flatMap((platform) => ["--platform", platform]));
  await pip(args, packages, title, bytes, directory, place, (part) => take(join(part, "FILES")));
}

// Everything that pip writes is in one temporary directory: its own temporary files too (/tmp may be small), and no
// cache. How much it has written is how far it is.
async function pip(
  args: readonly string[],
  packages: readonly PythonPackage[],
  title: string,
  bytes: number,
  near: string,
  place: Place,
  take: (part: string) => Promise<void>,
): Promise<void> {
  const part = partOf(`${near}.pip`);
  try {
    await rm(part, { recursive: true, force: true });
    await mkdir(join(part, "FILES"), { recursive: true });
    await mkdir(join(part, "tmp"));
    const requirements = join(part, "requirements.txt");
    const lines = packages.map(
      ({ name, version, sha256 }) => `${name}==${version} --hash=sha256:${sha256}\n`,
    );
    await writeFile(requirements, lines.join(""));
    const [command, ...rest] = args.map((arg) => (arg === "FILES" ? join(part, arg) : arg));
    const always = ["--quiet", "--no-cache-dir", "--disable-pip-version-check", "--no-input", "--no-deps"];
    const checked = ["--only-binary=:all:", "--require-hashes", "--requirement", requirements];
    const env = { ...place.env, TMPDIR: join(part, "tmp"), PIP_REQUIRE_VIRTUALENV: "0", PIP_USER: "0" };
    const outcome = await place.report.step(title, bytes, async (progress) => {
      const look = async () => progress(Math.min(await bytesOf(part), bytes));
      const watch = setInterval(() => void look(), 250);
      try {
        return await run(
          "python3",
          ["-m", "pip", command!, ...always, ...checked, ...rest],
          env,
          place.signal,
        );
      } finally {
        clearInterval(watch);
      }
    });
    if (!outcome.ok) throw failure(outcome, title);
    await take(part);
  } finally {
    await rm(part, { recursive: true, force: true });
  }
}

function failure({ stderr, end }: Outcome, title: string): InputError {
  const mismatch = /Expected sha256 (\w+)\s+Got\s+(\w+)/.exec(stderr);
  if (mismatch) {
    return new InputError(
      `${title}: the package index sent another file than the pinned one (sha256 ${mismatch[2]}, expected ` +
        `${mismatch[1]}); see which index pip is told to use: python3 -m pip config list`,
    );
  }
  // Without a network, pip's last line says that there is no such version; why is in the warnings before.
  const connection = /connection broken by '(.*?)': /.exec(stderr)?.[1]?.replace(/^.*>: |'\)$/g, "");
  const errors = stderr.split("\n").filter((line) => line.startsWith("ERROR:")); // warnings may follow
  const said = lastLine(errors.join("\n") || stderr) || end;
  const why = connection ? `${connection}; ${said}` : said;
  return new InputError(
    `${title} failed: pip says "${why}"; check the network and pip's settings, or give a wheel with --from`,
  );
}
