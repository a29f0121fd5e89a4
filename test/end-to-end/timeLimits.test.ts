/** Services that do not answer: `plan` and `resync` end with exit code 1, and name them. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { startAmpsync } from "../support/ampsyncProcess.ts"
import { holdLock } from "../support/holdLock.ts"
import { silentPort } from "../support/silentPort.ts"
import { makeWorld } from "../support/world.ts"

const verbs = [["plan"], ["resync", "--table", "logs", "--yes"]] as const

const inVain = Effect.fnUntraced(
  function*(environment: Readonly<Record<string, string>>, args: ReadonlyArray<string>, whom: string, timeout = "1s") {
    const run = yield* startAmpsync(environment, [...args, "--timeout", timeout])
    const { code } = yield* run.exited
    assert.strictEqual(code, 1, run.output())
    assert.include(run.output(), `no answer within ${timeout} from ${whom}`)
    assert.include(run.output(), "--timeout")
    assert.notMatch(run.output(), /\n\s+at /, "no stack trace")
    return run.output()
  }
)

describe("a time limit", () => {
  it.live.each(verbs)(
    "ends %s where the database refuses connections, or accepts them and is silent",
    (args) =>
      Effect.gen(function*() {
        const { environment } = yield* makeWorld({ dialect: "amp", blocks: 5 })
        for (const port of [1, yield* silentPort()]) {
          const output = yield* inVain(
            { ...environment, DATABASE_URL: `postgresql://u:s3cret@127.0.0.1:${port}/d` },
            args,
            `the database at 127.0.0.1:${port} (DATABASE_URL)`
          )
          assert.notInclude(output, "s3cret")
        }
      }),
    60_000
  )

  it.live("ends a plan where an address leads to a server that is silent", () =>
    Effect.gen(function*() {
      const { environment } = yield* makeWorld({ dialect: "amp", blocks: 5 })
      const address = `http://127.0.0.1:${yield* silentPort()}`
      const servers = [["AMP_ADMIN_API_ADDR", "the Admin API"], ["AMP_FLIGHT_ADDR", "Arrow Flight"]] as const
      yield* Effect.forEach(servers, ([variable, name]) =>
        // Long enough for the database to have answered before, on a busy machine too.
        inVain({ ...environment, [variable]: address }, ["plan"], `${name} at ${address} (${variable})`, "10s"), {
        concurrency: 2,
        discard: true
      })
    }), 60_000)

  it.live("ends a resync that waits for a lock, before it changes anything", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 5 })
      const sync = yield* startAmpsync(world.environment)
      yield* sync.prints("Table 'logs' has caught up")
      yield* sync.kill("SIGTERM")
      yield* sync.exited
      yield* holdLock(world.database, "LOCK TABLE _ampsync_checkpoints")
      const output = yield* inVain(world.environment, verbs[1], "the database at ")
      assert.include(output, "nothing was changed")
    }), 60_000)

  it.live("is in the help of plan and of resync, with its default", () =>
    Effect.gen(function*() {
      for (const verb of ["plan", "resync"]) {
        const help = yield* startAmpsync({}, [verb, "--help"])
        assert.strictEqual((yield* help.exited).code, 0)
        assert.match(help.output(), /--timeout[^]*\(default: 45s\)/)
      }
    }), 60_000)
})
