import wasm from "@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm?packed";
import { render } from "preact";
import configJson from "../../fixtures/fairy-tales/config.json?packed";
import generationConfigJson from "../../fixtures/fairy-tales/generation_config.json?packed";
import weights from "../../fixtures/fairy-tales/model.safetensors?packed";
import tokenizer from "../../fixtures/fairy-tales/tokenizer.model?packed";
import { App } from "./app.js";
import { onKey } from "./keys.js";
import { Page } from "./page.js";
import type { Request } from "./protocol.js";
// oxlint-disable-next-line import/no-unassigned-import -- a style sheet
import "./style.css";
import { Themes } from "./themes.js";
import { CHAPTERS } from "./view.js";
// oxlint-disable-next-line import/default -- the default export is vite's
import ModelWorker from "./worker.js?worker&inline";

const FILES = {
  "config.json": configJson,
  "generation_config.json": generationConfigJson,
  "model.safetensors": weights,
  "tokenizer.model": tokenizer,
};

/** Decompresses a packed file. */
async function unpack(url: string): Promise<Uint8Array> {
  const { body } = await fetch(url);
  return new Uint8Array(await new Response(body!.pipeThrough(new DecompressionStream("gzip"))).arrayBuffer());
}

const root = document.querySelector("#app")!;
root.replaceChildren();
let drawn = 0;
/** Renders the page at most once a frame. */
const draw = (): void => {
  cancelAnimationFrame(drawn);
  drawn = requestAnimationFrame(() => {
    render(<Page app={app} theme={themes.chosen} onTheme={() => themes.next()} />, root);
    document.title = `${CHAPTERS.find(({ id }) => id === app.view.chapter)!.title} · The KV cache, step by step`;
  });
};
const themes = new Themes(draw);
const worker = new ModelWorker();
const app = new App(worker, draw, innerWidth >= 1400);
addEventListener("keydown", (event) => onKey(app, event));
draw();

try {
  const files = await Promise.all(
    Object.entries(FILES).map(async ([name, url]) => [`fairy-tales/${name}`, await unpack(url)] as const),
  );
  const load: Request = { type: "load", wasm: await unpack(wasm), files: new Map(files) };
  worker.postMessage(load, []);
} catch (error) {
  app.report(`The model in this page could not be decompressed: ${(error as Error).message}`);
}
