const THEMES = ["auto", "light", "dark"] as const;

/** The system's colours, or those that the reader chose; the choice is stored if the browser allows it. */
export class Themes {
  chosen: (typeof THEMES)[number] = "auto";

  constructor(private readonly onChange: () => void) {
    try {
      this.chosen = THEMES.find((theme) => theme === localStorage.getItem("theme")) ?? "auto";
    } catch {
      // a page from disk may have no storage: use auto
    }
    this.apply();
  }

  /** Switches to the next theme. */
  next(): void {
    this.chosen = THEMES[(THEMES.indexOf(this.chosen) + 1) % THEMES.length]!;
    try {
      localStorage.setItem("theme", this.chosen);
    } catch {
      // applied, but not stored
    }
    this.apply();
    this.onChange();
  }

  private apply(): void {
    if (this.chosen === "auto") delete document.documentElement.dataset["theme"];
    else document.documentElement.dataset["theme"] = this.chosen;
  }
}
