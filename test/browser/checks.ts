import type { Page } from "playwright-core";

/** Parts of the figure, its number and text that are not inside the window, above the transport, or are cut off. */
export function outside(page: Page, long: boolean): Promise<string[]> {
  return page.evaluate((isLong) => {
    const bottom = document.querySelector(".transport")!.getBoundingClientRect().top + 1;
    const parts = isLong ? [] : [...document.querySelectorAll(".views figure, .views figure *")];
    const found: string[] = [];
    const text = document.querySelector(".text");
    if (text && text.scrollHeight > text.clientHeight + 1) found.push(`text of ${text.scrollHeight} pixels`);
    for (const element of [...parts, ...document.querySelectorAll(".head *")]) {
      // A formula scrolls in a narrow window.
      if (!element.checkVisibility() || element.closest(".sr, math")) continue;
      const box = element.getBoundingClientRect();
      if (box.width === 0 || box.height === 0) continue;
      let limits = { left: 0, right: innerWidth, top: 0, bottom };
      for (let one = element.parentElement; one; one = one.parentElement) {
        if (!/hidden|clip/.test(getComputedStyle(one).overflow)) continue;
        limits = one.getBoundingClientRect();
        break;
      }
      const fits =
        box.left >= limits.left - 1 &&
        box.right <= limits.right + 1 &&
        box.top >= limits.top - 1 &&
        box.bottom <= limits.bottom + 1;
      const { overflow } = getComputedStyle(element);
      const clips =
        /hidden|clip/.test(overflow) &&
        (element.scrollWidth > element.clientWidth + 1 || element.scrollHeight > element.clientHeight + 1);
      if (!fits || clips) found.push(`${element.outerHTML.slice(0, 100)} ${JSON.stringify(box)}`);
    }
    return found.slice(0, 3);
  }, long);
}

/** Visible text that is smaller than the given number of pixels. */
export function smallText(page: Page, pixels: number): Promise<string[]> {
  return page.evaluate((limit) => {
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const found: string[] = [];
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      const element = node.parentElement!;
      if (!node.textContent!.trim() || !element.checkVisibility({ visibilityProperty: true })) continue;
      if (element.closest(".sr, option, title")) continue;
      const size = Number.parseFloat(getComputedStyle(element).fontSize);
      if (size < limit - 0.1) found.push(`${size} px: ${element.outerHTML.slice(0, 80)}`);
    }
    return found.slice(0, 5);
  }, pixels);
}

/** Serious and critical violations that axe-core finds. */
export function serious(page: Page): Promise<string[]> {
  return page.evaluate(async () => {
    const { axe } = globalThis as unknown as { axe: typeof import("axe-core") };
    const { violations } = await axe.run(document);
    return violations
      .filter(({ impact }) => impact === "serious" || impact === "critical")
      .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(" | ")}`);
  });
}
