import { type Spread } from "../measure.js";
import type { Limits } from "../studies/roofline.js";
import { link, onMachine, paragraph, when } from "./files.js";

/** What keeps an backend from being faster: one paragraph. */
export function limitsSection(file: string, limits: Limits): string {
  const { backend, machine, model, batch, input, prefillMs, stepMs, weightBytes } = limits;
  const ms = ({ median }: Spread) => `${median.toFixed(median < 100 ? 1 : 0)} ms`;
  const ratio = (a: Spread, b: Spread) => (a.median / b.median).toFixed(2);
  const rate = (weightBytes / stepMs.reading.median / 1e6).toFixed(0);
  return `### What a step on ${backend.name} waits for

${paragraph(
  `${model}'s sizes, batch ${batch}: a prompt of ${input} takes ${ms(prefillMs.whole)}, its products with the weights alone ` +
    `${ms(prefillMs.products)}, ${ratio(prefillMs.whole, prefillMs.products)} times as long. A step after it takes ` +
    `${ms(stepMs.whole)}, its products alone ${ms(stepMs.products)}, and to read the ${(weightBytes / 1e6).toFixed(0)} MB of ` +
    `weights once, which no step can do without, takes one thread ${ms(stepMs.reading)} (${rate} GB/s): the step is at ` +
    `${ratio(stepMs.whole, stepMs.reading)} times that. Medians, all taking turns in one process. ` +
    `(\`npm run limits\`; ${onMachine(machine, backend)}; ${when(limits)}; ${link("samples", file)}.)`,
)}`;
}
