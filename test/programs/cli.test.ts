import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { startAmpsync } from "../support/ampsyncProcess.ts"

describe("the command line", () => {
  it.live(
    "offers no flag without an effect: the level of the log is RUST_LOG's business, for every verb",
    () =>
      Effect.gen(function*() {
        for (const verb of [[], ["simulate"], ["demo"], ["plan"], ["resync"]]) {
          const help = yield* startAmpsync({}, [...verb, "--help"])
          assert.strictEqual((yield* help.exited).code, 0)
          assert.include(help.output(), "--help")
          assert.include(help.output(), "--version")
          assert.notInclude(help.output(), "log-level")
        }
        const refused = yield* startAmpsync({}, ["plan", "--log-level", "debug"])
        assert.strictEqual((yield* refused.exited).code, 2)
        assert.include(refused.output(), "--log-level")
      }),
    60_000
  )
})
