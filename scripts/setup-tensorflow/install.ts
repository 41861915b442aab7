import { readdir, rm, rmdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { bytesOf, isWhole, linkPiece, removeLeftovers, sourceOf } from "./pieces.js";
import type { Place } from "./place.js";

/** A piece in the cache, and what it was made from. */
export interface MadePiece {
  readonly directory: string;
  readonly source: string;
}

// Where each piece goes in TensorFlow.js's package. The addon looks for libtensorflow in ../../deps/lib, and that for
// CUDA's libraries in ../nvidia.
const TARGETS: Readonly<Record<string, string>> = {
  deps: "deps",
  nvidia: join("deps", "nvidia"),
  lib: "lib",
};

const targetOf = ({ directory }: MadePiece, place: Place): string =>
  join(place.package, TARGETS[basename(directory)]!);

/** Whether node_modules has all of these pieces, whole. */
export async function isInstalled(pieces: readonly MadePiece[], place: Place): Promise<boolean> {
  const whole = await Promise.all(pieces.map((piece) => isWhole(targetOf(piece, place), piece.source)));
  return whole.every(Boolean);
}

/** Puts the pieces into node_modules, in this order, in the place of what is there. */
export async function install(pieces: readonly MadePiece[], place: Place): Promise<void> {
  await removePackageLeftovers(place);
  await uninstall(place);
  for (const piece of pieces) {
    place.signal?.throwIfAborted();
    await linkPiece(piece.directory, targetOf(piece, place));
  }
}

async function removePackageLeftovers(place: Place): Promise<void> {
  for (const directory of [place.package, join(place.package, "deps")]) await removeLeftovers(directory);
}

/** Takes the native part out of node_modules; the addon first: without it, the backend counts as not installed. */
async function uninstall(place: Place): Promise<void> {
  for (const name of ["lib", "deps"]) await rm(join(place.package, name), { recursive: true, force: true });
}

/** Undoes the setup: the native part in node_modules, and all that is kept in the cache. */
export async function clean(place: Place): Promise<void> {
  const bytes = await bytesOf(place.cache);
  await uninstall(place);
  await removePackageLeftovers(place);
  const parent = dirname(place.cache);
  await rm(place.cache, { recursive: true, force: true });
  await rm(join(parent, "compiled"), { recursive: true, force: true }); // XLA's programs, see ../tensorflow.ts
  if ((await readdir(parent).catch(() => ["?"])).length === 0) await rmdir(parent); // ours too, if nothing else is in it
  place.report.line(
    `removed the native part of TensorFlow.js from node_modules, and ${(bytes / 1e9).toFixed(2)} GB from ${place.cache}`,
  );
}

/** What is installed in TensorFlow.js's package, by its stamps. */
export async function installedPieces(packageDirectory: string) {
  const source = async (name: string) => sourceOf(join(packageDirectory, TARGETS[name]!));
  return { library: await source("deps"), cuda: await source("nvidia"), addon: await source("lib") };
}
