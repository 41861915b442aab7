import { readdirSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { expect } from "chai";
import { startOf } from "../../lecture/exercises/exercise.js";
import { grade } from "../../lecture/exercises/grade.js";
import { onOneBackend } from "../support.js";
import { runExercise, WRONG_ANSWERS } from "./wrong-answers.js";

const EXERCISES = new URL("../../lecture/exercises/", import.meta.url);
const folders = readdirSync(EXERCISES, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name)
  .toSorted((a, b) => Number.parseInt(a) - Number.parseInt(b));

onOneBackend("Exercises", () => {
  let directory: string; // inside the repository, so that packages are found
  before(async () => {
    const results = new URL("../../results/", import.meta.url);
    await mkdir(results, { recursive: true });
    directory = await mkdtemp(fileURLToPath(new URL("exercises-", results)));
  });
  after(() => rm(directory, { recursive: true }));

  for (const folder of folders) {
    const load = (file: string) => import(new URL(`${folder}/${file}.ts`, EXERCISES).href);

    it(`${folder}: the solution passes every check`, async () => {
      const { checks } = await load("checks");
      const grades = await grade(checks(await load("solution")));
      expect(grades.map(({ problem }) => problem).filter(Boolean)).to.deep.equal([]);
      expect(grades.length).to.be.at.least(2);
    });

    it(`${folder}: the start fails with a hint, and does not contain the solution`, async () => {
      const { checks } = await load("checks");
      const solution = readFileSync(new URL(`${folder}/solution.ts`, EXERCISES), "utf8");
      const start = startOf(solution);
      expect(start).not.to.match(/SOLUTION|START/);
      const file = join(directory, `${folder}.ts`);
      const base = new URL(`${folder}/`, EXERCISES); // relative imports start from the exercise's folder
      const absolute = start.replaceAll(
        /"(\.\.?\/.*)"/g,
        (_, path: string) => `"${new URL(path, base).href}"`,
      );
      await writeFile(file, absolute);
      const answer = await import(pathToFileURL(file).href);
      expect(Object.keys(answer)).to.deep.equal(Object.keys(await load("solution")));
      const problem = (await grade(checks(answer))).at(-1)?.problem;
      expect(problem).to.match(/yours|your/i);
      expect(problem!.length).to.be.above(40);
    });

    it(`${folder}: has a description`, () => {
      expect(readFileSync(new URL(`${folder}/README.md`, EXERCISES), "utf8")).to.match(/^# \d+ /);
    });
  }

  for (const { folder, mistake, answer, hint } of WRONG_ANSWERS) {
    it(`${folder}: ${mistake} is detected`, async () => {
      expect(await runExercise(folder, answer)).to.match(hint);
    });
  }
});
