import type { CodeId } from "./code-links.js";
import { codeOf, type View } from "./view.js";

/** The parts of the app that the code panel needs. */
interface Viewable {
  readonly view: View;
  show(change: Partial<View>): void;
}

/** State of the code panel, and the element that had the focus when the keyboard opened it. */
export class OpenCode {
  private opener: HTMLElement | undefined;

  constructor(
    private readonly app: Viewable,
    /** The window is wide enough to show code until the reader closes it. */
    private readonly wide: boolean,
  ) {}

  /** Id of the code in the panel; undefined while the panel is closed. */
  get id(): CodeId | undefined {
    const { code } = this.app.view;
    if (code === "none" || (code === "" && !this.wide)) return undefined;
    return code === "" || code === "chapter" ? codeOf(this.app.view) : code;
  }

  /**
   * Shows code, the chapter's by default. If it is already shown, closes the panel.
   *
   * @param byKeyboard the panel gets the focus, so that its code can be scrolled, and returns it when it closes
   */
  toggle(id: CodeId | undefined, byKeyboard: boolean): void {
    if (id === undefined ? this.id : this.id === id) return this.close();
    this.opener = byKeyboard ? (document.activeElement as HTMLElement) : undefined;
    this.app.show({ code: id ?? "chapter" });
  }

  /** True if the keyboard opened the panel. */
  get takesFocus(): boolean {
    return this.opener !== undefined;
  }

  /** Closes the panel. */
  close(): void {
    this.app.show({ code: "none" });
    this.opener?.focus();
    this.opener = undefined;
  }
}
