import { existsSync, readdirSync, readFileSync } from "node:fs";
import { expect } from "chai";
import { grade } from "../../lecture/exercises/grade.js";
import { onOneBackend } from "../support.js";
import { runExercise, WRONG_ANSWERS } from "./wrong-answers.js";

const EXERCISES = new URL("../../lecture/exercises/", import.meta.url);
const folders = readdirSync(EXERCISES, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name)
  .toSorted();

onOneBackend("Exercises", () => {
  for (const folder of folders) {
    const load = (file: string) => import(new URL(`${folder}/${file}.ts`, EXERCISES).href);

    it(`${folder}: the solution passes every check`, async () => {
      const { checks } = await load("checks");
      const grades = await grade(checks(await load("solution")));
      expect(grades.map(({ problem }) => problem).filter(Boolean)).to.deep.equal([]);
      expect(grades.length).to.be.at.least(2);
    });

    it(`${folder}: the start fails, and says what to do`, async () => {
      const { checks } = await load("checks");
      const problem = (await grade(checks(await load("start")))).at(-1)?.problem;
      expect(problem).to.match(/yours|your/i);
      expect(problem!.length).to.be.above(40);
    });

    it(`${folder}: has a description, and the start shows the solution's exports`, async () => {
      expect(readFileSync(new URL(`${folder}/README.md`, EXERCISES), "utf8")).to.match(/^# \d /);
      expect(Object.keys(await load("start"))).to.deep.equal(Object.keys(await load("solution")));
      expect(existsSync(new URL(`${folder}/checks.ts`, EXERCISES))).to.equal(true);
    });
  }

  for (const { folder, mistake, answer, hint } of WRONG_ANSWERS) {
    it(`${folder}: ${mistake} is caught`, async () => {
      expect(await runExercise(folder, answer)).to.match(hint);
    });
  }
});
