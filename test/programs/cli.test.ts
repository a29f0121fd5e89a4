import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { startAmpsync } from "../support/ampsyncProcess.ts"

describe("a command line that is wrong", () => {
  it.live.each(
    [
      [["plan", "--log-level", "debug"], "Unrecognized flag: --log-level"],
      [["plan", "--jsn"], "--json"],
      [["rsync"], `Unknown subcommand "rsync"`],
      [["rewind", "--to-block", "5"], "Missing required flag: --table"]
    ] as const
  )(
    "%j is answered with the error and where the help is, and with nothing else",
    ([args, error]) =>
      Effect.gen(function*() {
        const rejected = yield* startAmpsync({}, args)
        assert.strictEqual((yield* rejected.exited).code, 2)
        const lines = rejected.output().trim().split("\n")
        assert.include(rejected.output(), error)
        assert.isBelow(lines.length, 9, rejected.output())
        assert.match(lines.at(-1)!, /^What there is: node dist\/main\.js ?(plan|rewind)? --help$/)
      })
  )
})
