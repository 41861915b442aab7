import { type ChildProcess, spawn } from "node:child_process";
import { env, type Result, root } from "../scripts/run-command.js";

/** Starts `npm run download` with the hub at `hubUrl`. */
export function startDownload(
  repo: string,
  directory: string,
  hubUrl: string,
  token = "",
): { child: ChildProcess; end: Promise<Result> } {
  const child = spawn(process.execPath, ["--import", "tsx", "scripts/download.ts", repo, "--to", directory], {
    cwd: root,
    env: { ...env, HF_ENDPOINT: hubUrl, HF_TOKEN: token },
  });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (data: Buffer) => (stdout += String(data)));
  child.stderr.on("data", (data: Buffer) => (stderr += String(data)));
  const end = new Promise<Result>((resolve) =>
    child.on("close", (code) => resolve({ code, stdout, stderr })),
  );
  return { child, end };
}
