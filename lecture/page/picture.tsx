import { Component, createRef, type VNode } from "preact";
import { type Palette, palette } from "./colours.js";

/** Drawing context, size in CSS pixels and colours of a picture. */
export interface Sheet extends Palette {
  readonly context: CanvasRenderingContext2D;
  readonly width: number;
  readonly height: number;
}

interface Props {
  readonly height: (width: number) => number;
  readonly draw: (sheet: Sheet) => void;
  /** Called with the pointer's position in CSS pixels. */
  readonly onPoint?: (x: number, y: number, width: number) => void;
}

/** A canvas as wide as its parent in device pixels, redrawn when the page, its size or its colours change. */
export class Picture extends Component<Props> {
  private readonly canvas = createRef<HTMLCanvasElement>();
  private readonly dark = matchMedia("(prefers-color-scheme: dark)");
  private readonly resized = new ResizeObserver(() => this.draw());
  private readonly redraw = (): void => this.draw();

  override componentDidMount(): void {
    this.resized.observe(this.canvas.current!);
    this.dark.addEventListener("change", this.redraw);
    this.draw();
  }

  override componentDidUpdate(): void {
    this.draw();
  }

  override componentWillUnmount(): void {
    this.resized.disconnect();
    this.dark.removeEventListener("change", this.redraw);
  }

  private draw(): void {
    const canvas = this.canvas.current;
    const context = canvas?.getContext("2d");
    if (!canvas || !context) return;
    const width = canvas.clientWidth;
    const height = this.props.height(width);
    const ratio = devicePixelRatio || 1;
    canvas.style.height = `${height}px`;
    if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
    if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    this.props.draw({ ...palette(), context, width, height });
  }

  override render({ onPoint }: Props): VNode {
    const point = (event: MouseEvent): void => {
      const box = this.canvas.current!.getBoundingClientRect();
      onPoint?.(event.clientX - box.left, event.clientY - box.top, box.width);
    };
    return <canvas ref={this.canvas} aria-hidden="true" onPointerMove={point} onPointerDown={point} />;
  }
}
