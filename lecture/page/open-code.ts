import type { App } from "./app.js";
import type { CodeId } from "./code-links.js";
import { codeOf } from "./view.js";

/** The code in the side panel, and where the keyboard was when it opened the panel. */
export class OpenCode {
  private opener: HTMLElement | undefined;

  constructor(
    private readonly app: App,
    /** There is room for code beside the page: it is shown as long as the reader does not close it. */
    private readonly wide: boolean,
  ) {}

  /** What the panel shows; undefined while it is closed. */
  get id(): CodeId | undefined {
    const { code } = this.app.view;
    if (code === "none" || (code === "" && !this.wide)) return undefined;
    return code === "" || code === "chapter" ? codeOf(this.app.view) : code;
  }

  /**
   * Shows code, the chapter's where none is named; what is on show already is closed instead.
   *
   * @param byKeyboard the panel gets the focus, so that its code can be scrolled, and gives it back when it closes
   */
  toggle(id: CodeId | undefined, byKeyboard: boolean): void {
    if (id === undefined ? this.id : this.id === id) return this.close();
    this.opener = byKeyboard ? (document.activeElement as HTMLElement) : undefined;
    this.app.show({ code: id ?? "chapter" });
  }

  /** Whether the panel was opened by the keyboard. */
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
