import { Component, type VNode } from "preact";
import type { App } from "./app.js";
import { EXAMPLE_RUNS } from "./example-runs.js";
import type { RunOptions } from "./protocol.js";

type Draft = Omit<RunOptions, "bug">;

interface State {
  /** The form's contents, not submitted yet. */
  readonly draft: Draft;
  /** JSON of the options when the draft was made. */
  readonly requested: string;
}

const requested = ({ view: { prompts, maxGenLen, temperature, topP, seed } }: App): Draft => ({
  prompts,
  maxGenLen,
  temperature,
  topP,
  seed,
});

/** Form for prompts, options, and a saved trace to replay. */
export class SetupForm extends Component<{ app: App }, State> {
  override state: State = { draft: requested(this.props.app), requested: "" };

  /** Shows the options of a run that was started here or elsewhere. */
  static override getDerivedStateFromProps({ app }: { app: App }, state: State): State | null {
    const now = JSON.stringify(requested(app));
    return now === state.requested ? null : { draft: requested(app), requested: now };
  }

  private edit(change: Partial<Draft>): void {
    this.setState({ draft: { ...this.state.draft, ...change } });
  }

  private submit = (event: SubmitEvent): void => {
    event.preventDefault();
    this.props.app.show({ ...this.state.draft, step: 1, sequence: 0 });
  };

  private load = async (event: Event): Promise<void> => {
    const input = event.currentTarget as HTMLInputElement;
    const file = input.files?.[0];
    if (file) this.props.app.replay(await file.text(), file.name);
    input.value = "";
  };

  private prompt(text: string, sequence: number): VNode {
    const { prompts } = this.state.draft;
    const others = prompts.filter((_, i) => i !== sequence);
    return (
      <div key={sequence} class="prompt">
        <label for={`prompt-${sequence}`}>{sequence}</label>
        <textarea
          id={`prompt-${sequence}`}
          aria-label={`Prompt ${sequence}`}
          rows={Math.min(4, text.split("\n").length)}
          value={text}
          onInput={(event) => this.edit({ prompts: prompts.with(sequence, event.currentTarget.value) })}
        />
        {prompts.length > 1 && (
          <button
            type="button"
            aria-label={`Remove prompt ${sequence}`}
            onClick={() => this.edit({ prompts: others })}
          >
            ✕
          </button>
        )}
      </div>
    );
  }

  private number(name: Exclude<keyof Draft, "prompts">, title: string, step: string, min: number): VNode {
    return (
      <label>
        <span>{title}</span>
        <input
          type="number"
          value={this.state.draft[name]}
          min={min}
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
      const header = app.run?.header;
      return (
        <div class="setup">
          <p>
            Replaying <b>{app.replaying}</b>: {header?.model}, generated on {header?.backend}.
          </p>
          <button type="button" onClick={() => app.endReplay()}>
            Return to the bundled model
          </button>
        </div>
      );
    }
    const { prompts } = this.state.draft;
    return (
      <div class="setup">
        <form onSubmit={this.submit}>
          <div class="presets">
            {EXAMPLE_RUNS.map(({ name, ...run }) => (
              <button key={name} type="button" onClick={() => app.show({ ...run, step: 1, sequence: 0 })}>
                {name}
              </button>
            ))}
          </div>
          {prompts.map((text, sequence) => this.prompt(text, sequence))}
          <div class="controls">
            <button
              type="button"
              disabled={prompts.length >= 8}
              onClick={() => this.edit({ prompts: [...prompts, ""] })}
            >
              Add a prompt
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
      </div>
    );
  }
}
