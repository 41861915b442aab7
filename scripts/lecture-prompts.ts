/**
 * The lecture's batch: four prompts of unequal length, from the examples that Meta publishes with Llama. Their
 * whitespace is Meta's (Python indentation). With Llama 3's tokenizer they have 8, 12, 21 and 41 tokens.
 */
export const LECTURE_PROMPTS: readonly string[] = [
  "I believe the meaning of life is",
  "Simply put, the theory of relativity states that ",
  "A brief message congratulating the team on the launch:\n\n        Hi everyone,\n        \n        I just ",
  "Translate English to French:\n        \n        sea otter => loutre de mer\n" +
    "        peppermint => menthe poivrée\n        plush girafe => girafe peluche\n        cheese =>",
];
