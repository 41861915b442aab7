import type { Backend } from "./backend.js";
import type { Room } from "../cost/memory-check.js";
import { findDriver } from "./nvidia.js";

/** Of free memory, what tensors may take; the rest is for JavaScript, the library and the system. */
const SHARE = 0.9;

/**
 * What an backend that has just been loaded has room for: the card's free memory, or the machine's within a container's
 * limit. Undefined where it cannot be found out; nothing is refused then.
 */
export async function freeMemory(backend: Backend): Promise<Room | undefined> {
  if (backend.device === "cuda") {
    const visible = Number(process.env["CUDA_VISIBLE_DEVICES"]?.split(",")[0] ?? 0); // NaN for a card's name
    const card = (await findDriver(process.env))?.cards[visible];
    return card?.freeMemoryBytes ? room(card.freeMemoryBytes, "that the card has free") : undefined;
  }
  return room(process.availableMemory(), "that the machine has free");
}

const room = (free: number, of: string): Room => {
  const share = `${SHARE * 100}% of the ${(free / 2 ** 30).toFixed(1)} GiB`;
  return { bytes: SHARE * free, of: `(${share} ${of})` };
};
