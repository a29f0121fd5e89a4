/** A few short schedules of the chaos machine; `npm run chaos` runs as many as wanted. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { MAIN } from "../support/ampsyncProcess.ts"
import { reachableDirectory } from "../support/cluster.ts"
import { temporaryDirectory } from "../support/temporaryDirectory.ts"
import { buildMutant, mutants } from "./mutants.ts"
import { formatViolation, replayCommand } from "./report.ts"
import { runSchedule } from "./runSchedule.ts"
import { ACTION_KINDS, scheduleOf } from "./schedule.ts"

const SCHEDULES = 20
const SECONDS = 3

describe("the chaos machine", () => {
  it("makes the same schedule of the same seed, and every kind of action within a hundred seeds", () => {
    assert.deepStrictEqual(scheduleOf({ seed: 5 }), scheduleOf({ seed: 5 }))
    const kinds = Array.from({ length: 100 }, (_, seed) => scheduleOf({ seed }).actions.map(({ kind }) => kind)).flat()
    assert.sameMembers([...new Set(kinds)], [...ACTION_KINDS])
  })

  it.live("can break the build in every way that it must find, which `npm run chaos -- --mutants` relies on", () =>
    Effect.gen(function*() {
      const directory = yield* temporaryDirectory
      for (const mutant of mutants) assert.isTrue(existsSync(buildMutant(mutant, MAIN, join(directory, mutant.name))))
      const missing = { name: "none", what: "", replacements: [{ from: "there is no such text", to: "" }] }
      assert.throws(() => buildMutant(missing, MAIN, join(directory, "none")), "does not contain exactly once")
    }))

  it.live(
    "in every snapshot the rows up to the watermark are the chain, and in the end all are, through schedules of faults of both dialects",
    () =>
      Effect.gen(function*() {
        const seeds = Array.from({ length: SCHEDULES }, (_, index) => index + 1)
        // Two at a time, each with a server of its own.
        yield* Effect.forEach([0, 1], (job) =>
          Effect.gen(function*() {
            const directory = yield* reachableDirectory
            for (let seed = seeds.shift(); seed !== undefined; seed = seeds.shift()) {
              const schedule = scheduleOf({ seed, seconds: SECONDS })
              const result = yield* runSchedule(schedule, join(directory, `postgres-${job}`))
              assert.isEmpty(result.violations, formatViolation(result, replayCommand(schedule, SECONDS)))
              assert.isAbove(result.snapshots, 0)
            }
          }), { concurrency: 2, discard: true })
      }),
    900_000
  )
})
