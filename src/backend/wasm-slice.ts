import * as tf from "@tensorflow/tfjs-core";
import type { KernelFunc, TensorInfo } from "@tensorflow/tfjs-core";
import type { BackendWasm } from "@tensorflow/tfjs-backend-wasm";
import type { Call } from "./replace-kernel.js";

/**
 * `Slice` for WebAssembly, along one dimension. TensorFlow.js 4.22's first copies the whole tensor out of the heap: with
 * a KV cache, all L positions of every layer to read the S that are filled. This one copies only the slice, within the
 * heap: a decode step of the bundled model takes 0.65 to 0.85 of the time (L = 288, batch 16 and 1).
 *
 * @param original TensorFlow.js's kernel, for slices of several dimensions, and of none
 */
export const slice =
  (original: KernelFunc) =>
  (call: Call<"x", Record<"begin" | "size", number[]>, BackendWasm>): TensorInfo | TensorInfo[] => {
    const { inputs, attrs, backend } = call;
    const x = inputs.x as tf.Tensor;
    const [from, shape] = tf.slice_util.parseSliceParams(x, attrs.begin, attrs.size) as [number[], number[]];
    const [dim, ...others] = [...shape.keys()].filter((i) => shape[i] !== x.shape[i]);
    if (dim === undefined || others.length > 0) return original(call);
    const out = backend.makeOutput(shape, x.dtype);
    const source = backend.typedArrayFromHeap(x);
    const target = backend.typedArrayFromHeap(out);
    const inner = tf.util.sizeFromShape(x.shape.slice(dim + 1));
    const run = shape[dim]! * inner; // contiguous in both
    let at = from[dim]! * inner;
    for (let to = 0; to < target.length; to += run) {
      target.set(source.subarray(at, at + run), to);
      at += x.shape[dim]! * inner;
    }
    return out;
  };
