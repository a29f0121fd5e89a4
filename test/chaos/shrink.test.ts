/** Shrinking, with a violation that is planted: it needs no server. */
import { assert, describe, it } from "@effect/vitest"
import { formatResult, replayCommand, summarize } from "./report.ts"
import type { Result } from "./runSchedule.ts"
import { type ActionKind, type Schedule, scheduleOf } from "./schedule.ts"
import { shrink } from "./shrink.ts"

const resultOf = (schedule: Schedule, violations: ReadonlyArray<string>): Result => ({
  schedule,
  violations,
  snapshots: 1200,
  watermarks: 34,
  rows: 5678,
  healSeconds: 2.5,
  seconds: 9,
  logs: ""
})

const kindsOf = ({ actions }: Schedule) => actions.map(({ kind }) => kind)

describe("shrinking", () => {
  it("finds the two actions of twenty that a violation needs, and the command that runs these alone", async () => {
    const needed: ReadonlyArray<ActionKind> = ["kill", "reorg"]
    const fails = (schedule: Schedule) => needed.every((kind) => kindsOf(schedule).includes(kind))
    const whole = Array.from({ length: 100 }, (_, seed) => scheduleOf({ seed, seconds: 8 }))
      .find((schedule) => schedule.actions.length >= 18 && fails(schedule))!
    let runs = 0
    const shorter = await shrink(whole, (schedule) => {
      runs += 1
      return Promise.resolve(resultOf(schedule, fails(schedule) ? ["planted"] : []))
    })
    assert.sameMembers(kindsOf(shorter!.result.schedule), [...needed])
    assert.deepStrictEqual(shorter!.only.map((index) => whole.actions[index]!), shorter!.result.schedule.actions)
    assert.isBelow(runs, 60)
    assert.include(replayCommand(whole, 8, shorter!.only), `--only ${shorter!.only.join(",")}`)
  })

  it("reports no shorter schedule where every action is needed", async () => {
    const whole = scheduleOf({ seed: 5 })
    const run = (schedule: Schedule) =>
      Promise.resolve(resultOf(schedule, schedule.actions.length === whole.actions.length ? ["planted"] : []))
    assert.isUndefined(await shrink(whole, run))
  })
})

describe("the summary of what was printed", () => {
  it("counts schedules, violations, actions of each kind and rows, also of several runs", () => {
    const [first, second] = [scheduleOf({ seed: 1 }), scheduleOf({ seed: 2 })]
    const printed = [resultOf(first, []), resultOf(second, ["a row is missing"])].map(formatResult).join("\n")
    const summary = summarize(`${printed}\nother lines\n${printed}`)
    const all = [...kindsOf(first), ...kindsOf(second)]
    assert.include(summary, "| schedules | 4 |\n| with violations | 2 |")
    assert.include(summary, `| actions | ${2 * all.length} |`)
    assert.include(summary, "| 22,712 |")
    for (const kind of all) {
      assert.include(
        summary,
        `| \`${kind}\` | ${2 * all.filter((other) => other === kind).length} |`
      )
    }
  })
})
