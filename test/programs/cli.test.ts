import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { settingNames, settingOf } from "../../src/domain/settings/settings.ts"
import { startAmpsync } from "../support/ampsyncProcess.ts"

describe("the command line", () => {
  it.live(
    "offers no flag without an effect: the level of the log is RUST_LOG's business, for every verb",
    () =>
      Effect.gen(function*() {
        for (const verb of [[], ["simulate"], ["demo"], ["plan"], ["resync"], ["status"], ["grants"], ["doctor"]]) {
          const help = yield* startAmpsync({}, [...verb, "--help"])
          assert.strictEqual((yield* help.exited).code, 0)
          assert.include(help.output(), "--help")
          assert.include(help.output(), "--version")
          assert.notInclude(help.output(), "log-level")
        }
        for (
          const [args, error] of [
            [["plan", "--log-level", "debug"], "Unrecognized flag: --log-level"],
            [["plan", "--jsn"], "--json"],
            [["rsync"], `Unknown subcommand "rsync"`],
            [["rewind", "--to-block", "5"], "Missing required flag: --table"]
          ] as const
        ) {
          const rejected = yield* startAmpsync({}, args)
          assert.strictEqual((yield* rejected.exited).code, 2)
          const lines = rejected.output().trim().split("\n")
          assert.include(rejected.output(), error)
          assert.isBelow(lines.length, 9, rejected.output())
          assert.match(lines.at(-1)!, /^What there is: node dist\/main\.js ?(plan|rewind)? --help$/)
        }
      }),
    60_000
  )

  it.live(
    "lists in --help every setting that the verb reads, with its default",
    () =>
      Effect.gen(function*() {
        for (const verb of ["sync", "plan", "resync", "status", "grants", "doctor"] as const) {
          const help = yield* startAmpsync({}, [...(verb === "sync" ? [] : [verb]), "--help"])
          assert.strictEqual((yield* help.exited).code, 0)
          const lines = help.output().split("\n")
          for (const name of settingNames) {
            const { default: fallback, section, verbs } = settingOf(name)
            const pattern = section === "libpq"
              ? new RegExp(`libpq's variables: .*\\b${name}\\b`)
              : new RegExp(`^ +${name} `)
            const line = lines.find((line) => pattern.test(line))
            assert.strictEqual(line !== undefined, verbs.includes(verb), `${verb}: ${name}`)
            if (line !== undefined && fallback !== undefined) assert.include(line, `(default: ${fallback})`)
          }
        }
        const overview = yield* startAmpsync({}, ["--help"])
        yield* overview.exited
        assert.match(overview.output(), /resync +Delete all rows of a table .*[^:]$/m)
      }),
    60_000
  )
})
