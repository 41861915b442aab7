import type { KernelFunc, NamedAttrMap, TensorInfo } from "@tensorflow/tfjs-core";
import { util } from "@tensorflow/tfjs-core";
import type { BackendWasm } from "@tensorflow/tfjs-backend-wasm";
import type { Call } from "./replace-kernel.js";
import { functionsOf } from "./wasm-elementwise.js";
import { addressesOf } from "./wasm-heap.js";

/** The most numbers for which the time to pass TensorFlow.js's kernel its arguments matters. */
const SMALL = 4096;

/**
 * `Add` or `Multiply` of small tensors for WebAssembly. For the few hundred numbers of a decode step, TensorFlow.js 4.22's
 * kernels take 4 to 7 µs, most of it to pass their arguments.
 *
 * @param original TensorFlow.js's kernel, for all that this one does not support
 */
export const smallBinary =
  (operation: "Add" | "Multiply", original: KernelFunc) =>
  (call: Call<"a" | "b", NamedAttrMap, BackendWasm>): TensorInfo | TensorInfo[] => {
    const { inputs, backend } = call;
    const [sizeA, sizeB] = [util.sizeFromShape(inputs.a.shape), util.sizeFromShape(inputs.b.shape)];
    // Both operations are commutative.
    const [large, small, size] = sizeA < sizeB ? [inputs.b, inputs.a, sizeB] : [inputs.a, inputs.b, sizeA];
    const isFloat = large.dtype === "float32" && small.dtype === "float32";
    const group = isFloat && size > 0 && size <= SMALL ? groupOf(small.shape, large.shape) : undefined;
    if (!group) return original(call);

    const out = backend.makeOutput(large.shape, "float32");
    const [x, y, z] = addressesOf(backend, large, small, out);
    functionsOf(backend).combine(
      operation === "Multiply",
      group.repeat,
      x,
      y,
      z,
      z + 4 * size,
      4 * group.inner,
    );
    return out;
  };

/**
 * The way in which a tensor is broadcast to a larger one's shape: all of its numbers for each group of `inner` of the
 * larger one's (repeat), or one of them for each group. Undefined for all other ways.
 */
function groupOf(
  small: readonly number[],
  large: readonly number[],
): { readonly inner: number; readonly repeat: boolean } | undefined {
  const offset = large.length - small.length;
  if (offset < 0) return undefined;
  let same = small.length; // the dimensions from here on are the larger one's
  while (same > 0 && small[same - 1] === large[offset + same - 1]) same--;
  const ones = (from: number, to: number) => small.slice(from, to).every((n) => n === 1);
  if (ones(0, same)) return { inner: util.sizeFromShape(small.slice(same)), repeat: true }; // [64] to [9, 1, 64]
  const last = small.length - 1;
  const isLast = small[last] === 1 && small.slice(0, last).every((n, i) => n === large[offset + i]);
  return isLast && offset === 0 ? { inner: large.at(-1)!, repeat: false } : undefined; // [9, 1] to [9, 64]
}
