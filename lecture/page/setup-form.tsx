import { Component, type VNode } from "preact";
import { LECTURE_PROMPTS } from "../../scripts/lecture-prompts.js";
import type { App } from "./app.js";

const PRESETS: readonly { name: string; prompts: readonly string[]; maxGenLen: number }[] = [
  { name: "the lecture’s four prompts", prompts: LECTURE_PROMPTS, maxGenLen: 32 },
  { name: "one tale", prompts: ["Once upon a time"], maxGenLen: 24 },
  { name: "two short rows", prompts: ["The king", "There was once a poor"], maxGenLen: 16 },
];

/** Prompts and options: what the reader wants generated, or a trace to replay. */
export class SetupForm extends Component<{ app: App }> {
  private submit = (event: SubmitEvent): void => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const number = (name: string) => Number(form.get(name));
    const prompts = form.getAll("prompt").map(String);
    this.props.app.show({
      prompts,
      maxGenLen: number("maxGenLen"),
      temperature: number("temperature"),
      topP: number("topP"),
      seed: number("seed"),
      step: 1,
      row: 0,
    });
  };

  private load = async (event: Event): Promise<void> => {
    const input = event.currentTarget as HTMLInputElement;
    const file = input.files?.[0];
    if (file) this.props.app.replay(await file.text(), file.name);
    input.value = "";
  };

  override render({ app }: { app: App }): VNode {
    const { prompts, maxGenLen, temperature, topP, seed } = app.view;
    const set = (change: readonly string[]): void => app.show({ prompts: change, step: 1, row: 0 });
    const field = (name: string, title: string, value: number, step: string, least: number) => (
      <label>
        <span>{title}</span>
        <input name={name} type="number" value={value} min={least} step={step} required />
      </label>
    );
    if (app.replaying) {
      const head = app.run?.head;
      return (
        <div class="setup">
          <p>
            Replaying <b>{app.replaying}</b>: {head?.model}, recorded on {head?.engine}.
          </p>
          <button type="button" onClick={() => app.endReplay()}>
            Back to the bundled model
          </button>
        </div>
      );
    }
    return (
      <details class="setup">
        <summary>Own prompts, options, recorded traces</summary>
        <form key={prompts.join("\0")} onSubmit={this.submit}>
          <div class="presets">
            {PRESETS.map((preset) => (
              <button
                key={preset.name}
                type="button"
                onClick={() =>
                  app.show({ prompts: preset.prompts, maxGenLen: preset.maxGenLen, step: 1, row: 0 })
                }
              >
                {preset.name}
              </button>
            ))}
          </div>
          {prompts.map((prompt, row) => (
            <label key={row} class="prompt">
              <span>row {row}</span>
              <textarea
                aria-label={`Prompt of row ${row}`}
                name="prompt"
                rows={Math.min(4, prompt.split("\n").length)}
                defaultValue={prompt}
              />
              {prompts.length > 1 && (
                <button
                  type="button"
                  aria-label={`Remove row ${row}`}
                  onClick={() => set(prompts.filter((_, i) => i !== row))}
                >
                  ✕
                </button>
              )}
            </label>
          ))}
          <div class="controls">
            <button
              type="button"
              disabled={prompts.length >= 8}
              onClick={() => set([...prompts, "Once upon a time"])}
            >
              Add a row
            </button>
            {field("maxGenLen", "new tokens", maxGenLen, "1", 1)}
            {field("temperature", "temperature", temperature, "any", 0)}
            {field("topP", "top-p", topP, "any", 0.01)}
            {field("seed", "seed", seed, "1", 0)}
            <button type="submit" class="primary">
              Generate
            </button>
          </div>
        </form>
        <label class="file">
          <span>
            Replay a trace of another model (<code>npm run trace -- --json trace.json --layers 0,5</code>)
          </span>
          <input type="file" accept=".json,application/json" onChange={this.load} />
        </label>
      </details>
    );
  }
}
