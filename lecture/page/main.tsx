import wasm from "@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm?packed";
import { render } from "preact";
import configJson from "../../fixtures/fairy-tales/config.json?packed";
import draftConfigJson from "../../fixtures/fairy-tales/draft/config.json?packed";
import draftWeights from "../../fixtures/fairy-tales/draft/model.safetensors?packed";
import generationConfigJson from "../../fixtures/fairy-tales/generation_config.json?packed";
import weights from "../../fixtures/fairy-tales/model.safetensors?packed";
import tokenizer from "../../fixtures/fairy-tales/tokenizer.model?packed";
import { App } from "./app.js";
import { chapterOf } from "./chapters.js";
import { type Commands, onKey } from "./keys.js";
import { NotesWindow } from "./notes.js";
import { KeyTable, Page } from "./page.js";
import type { Request } from "./protocol.js";
// oxlint-disable-next-line import/no-unassigned-import -- a style sheet
import "./style/index.css";
import { Themes } from "./themes.js";
// oxlint-disable-next-line import/default -- the default export is vite's
import ModelWorker from "./worker.js?worker&inline";

const FILES = {
  "config.json": configJson,
  "draft/config.json": draftConfigJson,
  "draft/model.safetensors": draftWeights,
  "generation_config.json": generationConfigJson,
  "model.safetensors": weights,
  "tokenizer.model": tokenizer,
};

const root = document.querySelector("#app")!;
const help = document.querySelector<HTMLDialogElement>("#keys")!;
root.replaceChildren();
let drawn = 0;
/** Renders the page at most once a frame. */
const draw = (): void => {
  cancelAnimationFrame(drawn);
  drawn = requestAnimationFrame(() => {
    document.documentElement.classList.toggle("presenting", app.view.present);
    render(<Page app={app} commands={commands} theme={themes.chosen} />, root);
    notes.draw();
    document.title = `${chapterOf(app.view.chapter).menu} · The KV cache, step by step`;
  });
};
const themes = new Themes(draw);
const commands: Commands = {
  fullscreen: () =>
    void (
      document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen()
    ).catch((error: Error) => app.report(`The browser must allow full screen: ${error.message}`)),
  notes: () => notes.open(),
  theme: () => themes.next(),
  help: () => {
    render(<KeyTable />, help);
    help.showModal();
  },
  black: () => void document.documentElement.classList.toggle("black"),
};
const worker = new ModelWorker();
const app = new App(worker, draw);
const key = (event: KeyboardEvent): void => onKey(app, commands, event);
const notes = new NotesWindow(() => app, key);
addEventListener("keydown", key);
draw();

if (document.readyState === "loading") {
  await new Promise((resolve) => addEventListener("DOMContentLoaded", resolve, { once: true }));
}
const files = Object.entries(FILES).map(([name, read]) => [name, read()] as const);
const load: Request = { type: "load", wasm: wasm(), files: new Map(files) };
worker.postMessage(load, []);
if (!app.replaying) app.start();
