import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect } from "chai";
import { BUILT, builtPage, SHORT } from "./built-page.js";

const FIREFOX = process.env["FIREFOX"] ?? "firefox-esr";
const installed = spawnSync(FIREFOX, ["--version"]).status === 0;

/** Firefox's remote protocol, Marionette: messages are JSON behind their length, [type, id, name or error, result]. */
class Marionette {
  private socket: Socket | undefined;
  private buffer = Buffer.alloc(0);
  private id = 0;
  private readonly waiting = new Map<number, (message: readonly unknown[]) => void>();

  constructor(private readonly port: number) {}

  /** Connects, as soon as Firefox listens. */
  async connect(): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      try {
        this.socket = await new Promise<Socket>((resolve, reject) => {
          const socket = connect(this.port, "127.0.0.1", () => resolve(socket)).once("error", reject);
        });
        break;
      } catch (error) {
        if (attempt > 600) throw error;
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
    }
    this.socket.on("data", (data) => this.receive(data));
  }

  /** Runs a command. */
  async send(name: string, parameters: object = {}): Promise<unknown> {
    const id = ++this.id;
    const text = JSON.stringify([0, id, name, parameters]);
    const answer = new Promise<readonly unknown[]>((resolve) => this.waiting.set(id, resolve));
    this.socket!.write(`${Buffer.byteLength(text)}:${text}`);
    const [, , error, result] = await answer;
    if (error) throw new Error(JSON.stringify(error));
    return result;
  }

  /** Evaluates an expression in the page. */
  async evaluate(expression: string): Promise<unknown> {
    const result = await this.send("WebDriver:ExecuteScript", { script: `return ${expression}`, args: [] });
    return (result as { value: unknown }).value;
  }

  end(): void {
    this.socket?.destroy();
  }

  private receive(data: Buffer): void {
    this.buffer = Buffer.concat([this.buffer, data]);
    for (;;) {
      const colon = this.buffer.indexOf(":");
      const length = Number(this.buffer.subarray(0, colon));
      if (colon < 0 || this.buffer.length < colon + 1 + length) return;
      const message = JSON.parse(this.buffer.subarray(colon + 1, colon + 1 + length).toString()) as unknown[];
      this.buffer = this.buffer.subarray(colon + 1 + length);
      if (message[0] === 1) this.waiting.get(message[1] as number)?.(message);
    }
  }
}

describe("The page in Firefox", () => {
  (installed ? it : it.skip)(`loads the file and plays it to the end (needs ${FIREFOX})`, async () => {
    await (await builtPage()).browser.close();
    const profile = mkdtempSync(join(tmpdir(), "firefox-"));
    const port = 20_000 + (process.pid % 20_000);
    const preferences = ["--headless", "--marionette", "--profile", profile, "--no-remote"];
    const { writeFileSync } = await import("node:fs");
    writeFileSync(join(profile, "user.js"), `user_pref("marionette.port", ${port});\n`);
    const firefox = spawn(FIREFOX, preferences, { stdio: "ignore" });
    const marionette = new Marionette(port);
    try {
      await marionette.connect();
      await marionette.send("WebDriver:NewSession");
      await marionette.send("WebDriver:Navigate", {
        url: `${pathToFileURL(BUILT).href}#chapter=start&step=1&${SHORT}`,
      });
      const until = async (expression: string) => {
        while (!(await marionette.evaluate(expression)))
          await new Promise((resolve) => setTimeout(resolve, 200));
      };
      await until(`!!document.querySelector('.views[aria-busy="false"]')`);
      await marionette.evaluate(`document.querySelector(".begin").click()`);
      await until(`document.querySelector("[data-test=step]").textContent === "12"`);
      expect(await marionette.evaluate(`document.querySelector("[role=alert]")?.textContent ?? ""`)).to.equal(
        "",
      );
      expect(
        await marionette.evaluate(
          `document.querySelector("[data-mode=cached] [data-test=range]").textContent`,
        ),
      ).to.equal("16:17");
    } finally {
      marionette.end();
      firefox.kill();
      await new Promise((resolve) => firefox.once("exit", resolve));
      rmSync(profile, { recursive: true, force: true });
    }
  });
});
