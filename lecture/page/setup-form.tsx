import { Component, type VNode } from "preact";
import type { App } from "./app.js";
import { EXAMPLE_RUNS } from "./example-runs.js";
import type { RunOptions } from "./protocol.js";

type Draft = Omit<RunOptions, "bug">;

interface State {
  /** What is in the form, and not asked for yet. */
  readonly draft: Draft;
  /** What was asked for when the draft began. */
  readonly asked: string;
}

const asked = ({ view: { prompts, maxGenLen, temperature, topP, seed } }: App): Draft => ({
  prompts,
  maxGenLen,
  temperature,
  topP,
  seed,
});

/** Prompts and options: what the reader wants generated, or a trace to replay. */
export class SetupForm extends Component<{ app: App }, State> {
  override state: State = { draft: asked(this.props.app), asked: "" };

  /** Another run was asked for, here or elsewhere: the form shows what. */
  static override getDerivedStateFromProps({ app }: { app: App }, state: State): State | null {
    const now = JSON.stringify(asked(app));
    return now === state.asked ? null : { draft: asked(app), asked: now };
  }

  private edit(change: Partial<Draft>): void {
    this.setState({ draft: { ...this.state.draft, ...change } });
  }

  private submit = (event: SubmitEvent): void => {
    event.preventDefault();
    this.props.app.show({ ...this.state.draft, step: 1, row: 0 });
  };

  private load = async (event: Event): Promise<void> => {
    const input = event.currentTarget as HTMLInputElement;
    const file = input.files?.[0];
    if (file) this.props.app.replay(await file.text(), file.name);
    input.value = "";
  };

  private prompt(text: string, row: number): VNode {
    const { prompts } = this.state.draft;
    const others = prompts.filter((_, i) => i !== row);
    return (
      <div key={row} class="prompt">
        <label for={`prompt-${row}`}>row {row}</label>
        <textarea
          id={`prompt-${row}`}
          aria-label={`Prompt of row ${row}`}
          rows={Math.min(4, text.split("\n").length)}
          value={text}
          onInput={(event) => this.edit({ prompts: prompts.with(row, event.currentTarget.value) })}
        />
        {prompts.length > 1 && (
          <button
            type="button"
            aria-label={`Remove row ${row}`}
            onClick={() => this.edit({ prompts: others })}
          >
            ✕
          </button>
        )}
      </div>
    );
  }

  private number(name: Exclude<keyof Draft, "prompts">, title: string, step: string, least: number): VNode {
    return (
      <label>
        <span>{title}</span>
        <input
          type="number"
          value={this.state.draft[name]}
          min={least}
          step={step}
          required
          onInput={({ currentTarget }) => {
            if (currentTarget.validity.valid) this.edit({ [name]: currentTarget.valueAsNumber });
          }}
        />
      </label>
    );
  }

  override render({ app }: { app: App }): VNode {
    if (app.replaying) {
      const head = app.run?.head;
      return (
        <div class="setup">
          <p>
            Replaying <b>{app.replaying}</b>: {head?.model}, recorded on {head?.backend}.
          </p>
          <button type="button" onClick={() => app.endReplay()}>
            Back to the bundled model
          </button>
        </div>
      );
    }
    const { prompts } = this.state.draft;
    return (
      <details class="setup">
        <summary>Own prompts, options, recorded traces</summary>
        <form onSubmit={this.submit}>
          <div class="presets">
            {EXAMPLE_RUNS.map(({ name, ...run }) => (
              <button key={name} type="button" onClick={() => app.show({ ...run, step: 1, row: 0 })}>
                {name}
              </button>
            ))}
          </div>
          {prompts.map((text, row) => this.prompt(text, row))}
          <div class="controls">
            <button
              type="button"
              disabled={prompts.length >= 8}
              onClick={() => this.edit({ prompts: [...prompts, ""] })}
            >
              Add a row
            </button>
            {this.number("maxGenLen", "new tokens", "1", 1)}
            {this.number("temperature", "temperature", "any", 0)}
            {this.number("topP", "top-p", "any", 0.01)}
            {this.number("seed", "seed", "1", 0)}
            <button type="submit" class="primary">
              Generate
            </button>
          </div>
        </form>
        <label class="file">
          <span>
            Replay a trace of another model (<code>npm run trace -- --json trace.json --layers 0,4</code>)
          </span>
          <input type="file" accept=".json,application/json" onChange={this.load} />
        </label>
      </details>
    );
  }
}
