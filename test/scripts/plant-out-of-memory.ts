/** Preloaded by a test: TensorFlow has no memory for the model's first step. */
import { Llama } from "../../src/model/llama.js";

Llama.prototype.forward = () => {
  throw new Error(
    "Invalid TF_Status: 8\nMessage: OOM when allocating tensor with shape[8,1024,49152] and type float on " +
      "/job:localhost/replica:0/task:0/device:GPU:0 by allocator GPU_0_bfc",
  );
};
