/** Hours without the server, the database or both, by a clock that runs as fast as the machine. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { SqlError } from "effect/sql"
import { TestClock } from "effect/testing"
import { flightError } from "../../doubles/FlightClient.ts"
import { supervised } from "../../support/supervised.ts"

type Part = "server" | "database"

const refused = new SqlError.SqlError({
  reason: new SqlError.ConnectionError({ message: "PostgreSQL: connect ECONNREFUSED", operation: "connect", cause: "" })
})

/** A table that had rows, with a server and a database that a test takes away. */
const table = Effect.gen(function*() {
  const away = new Set<Part>()
  const it = yield* supervised({
    stored: ["9a"],
    acquire: Effect.suspend(() => away.has("database") ? Effect.fail(refused) : Effect.void),
    // A connection lasts for as long as its server.
    open: () =>
      Effect.suspend(() =>
        away.has("server")
          ? Effect.fail(flightError())
          : Effect.succeed(
            Stream.fromEffect(
              Effect.repeat(Effect.delay(Effect.sync(() => away.size > 0), "1 second"), { until: (isAway) => isAway })
            ).pipe(Stream.mapEffect(() => Effect.fail(flightError())))
          )
      )
  })
  yield* TestClock.adjust("5 seconds")
  assert.strictEqual(yield* it.phase, "caught up")
  return { ...it, away }
})

/** What goes first, what comes back first, and what the hour is about. */
const outages: ReadonlyArray<readonly [title: string, goes: ReadonlyArray<Part>, comes: ReadonlyArray<Part>]> = [
  ["the server", ["server"], ["server"]],
  ["the database", ["database"], ["database"]],
  ["the server, then the database too, which is back last", ["server", "database"], ["server", "database"]],
  ["the server, then the database too, which is back first", ["server", "database"], ["database", "server"]],
  ["the database, then the server too, which is back last", ["database", "server"], ["database", "server"]],
  ["the database, then the server too, which is back first", ["database", "server"], ["server", "database"]]
]

describe("an hour without", () => {
  it.effect.each(outages)(
    "%s is healed within the longest pause, after at most 150 lines for a table, and names what failed first",
    ([, goes, comes]) =>
      Effect.gen(function*() {
        const { away, ...it } = yield* table
        const before = it.lines.length
        for (const part of goes) {
          away.add(part)
          yield* TestClock.adjust(`${60 / goes.length} minutes`)
        }
        assert.strictEqual(yield* it.phase, "stalled")
        const lines = it.lines.slice(before)
        assert.isAtMost(lines.length, 150)
        assert.isAtLeast(lines.length, 100, "it is reported all the time")
        const { firstError, lastError, reason } = yield* it.status
        // Where both are away, an attempt ends at the first of them: the database.
        const isDatabase = goes.includes("database")
        assert.strictEqual(reason, lastError?.message)
        assert.strictEqual(reason, isDatabase ? refused.message : flightError().message)
        // The stream is what breaks.
        assert.strictEqual(firstError?.message, flightError().message)
        for (const part of comes.slice(0, -1)) {
          away.delete(part)
          yield* TestClock.adjust("30 minutes")
          assert.strictEqual(yield* it.phase, "stalled")
        }
        away.clear()
        yield* TestClock.adjust("72 seconds")
        yield* TestClock.adjust("5 seconds")
        assert.strictEqual(yield* it.phase, "caught up")
        assert.isUndefined((yield* it.status).reason)
      })
  )
})
