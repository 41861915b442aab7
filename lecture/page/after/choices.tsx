import type { VNode } from "preact";
import type { App } from "../app.js";

interface Props {
  readonly app: App;
  /** Name of the group. */
  readonly name: string;
  /** Captions of the settings, in the order of the demonstration's list. */
  readonly options: readonly (string | number)[];
}

/** Buttons for the settings of a demonstration; the first is the default. */
export function Choices({ app, name, options }: Props): VNode {
  return (
    <div class="setting" role="group" aria-label={name}>
      <span>{name}</span>
      {options.map((option, i) => (
        <button
          key={option}
          type="button"
          aria-pressed={i === choiceOf(app, options)}
          onClick={() => app.show({ choice: i })}
        >
          {option}
        </button>
      ))}
    </div>
  );
}

/** The chosen setting, as an index into its list. */
export const choiceOf = (app: App, options: readonly unknown[]): number =>
  Math.min(app.view.choice, options.length - 1);
