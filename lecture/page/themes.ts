const THEMES = ["auto", "light", "dark"] as const;

/** Colours as the system has them, or as the reader chose; the choice is remembered where the browser lets a page do so. */
export class Themes {
  chosen: (typeof THEMES)[number] = "auto";

  constructor(private readonly onChange: () => void) {
    try {
      this.chosen = THEMES.find((theme) => theme === localStorage.getItem("theme")) ?? "auto";
    } catch {
      // a page from disk may have no storage: then it is auto
    }
    this.apply();
  }

  /** Takes the next choice. */
  next(): void {
    this.chosen = THEMES[(THEMES.indexOf(this.chosen) + 1) % THEMES.length]!;
    try {
      localStorage.setItem("theme", this.chosen);
    } catch {
      // not remembered, but applied
    }
    this.apply();
    this.onChange();
  }

  private apply(): void {
    if (this.chosen === "auto") delete document.documentElement.dataset["theme"];
    else document.documentElement.dataset["theme"] = this.chosen;
  }
}
