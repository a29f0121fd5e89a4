import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import { SqlError } from "effect/sql"
import { TestClock } from "effect/testing"
import { settle } from "../../../src/programs/verbs/resync/settle.ts"
import { TableExchange } from "../../../src/services/TableExchange.ts"
import type { TableLeases } from "../../../src/services/TableLeases.ts"
import { leaseOf, tableLeases } from "../../doubles/bookkeeping.ts"

const lost = (message: string) =>
  new SqlError.SqlError({ reason: new SqlError.ConnectionError({ message, operation: "execute", cause: message }) })

const lostAnswer = lost("the answer was lost")

/** Asks a database that answers from question `answersFrom` on, counted from 0. */
const settling = Effect.fnUntraced(function*(answersFrom: number, isSecondLeft: boolean) {
  let asked = 0
  const transaction: TableLeases["Service"]["transaction"] = <A, E, R>(_: string, effect: Effect.Effect<A, E, R>) =>
    Effect.suspend((): Effect.Effect<A, E | SqlError.SqlError, R> =>
      asked++ < answersFrom ? Effect.fail(lost("connect ECONNREFUSED")) : effect
    )
  const leases = tableLeases({
    transaction,
    takeOver: () => Effect.succeed(leaseOf("t")),
    evictStale: () => Effect.succeed(0)
  })
  const exchange = Layer.mock(TableExchange, {
    schemaOf: (table) => `second_${table}`,
    hasSecond: () => Effect.succeed(isSecondLeft)
  })
  const fiber = yield* settle({ table: "t", dataset: "_/anvil" }, lostAnswer).pipe(
    Effect.provide(Layer.merge(leases, exchange)),
    Effect.result,
    Effect.forkChild
  )
  yield* TestClock.adjust("2 minutes")
  return yield* Fiber.join(fiber)
})

describe("a COMMIT of resync --online whose answer was lost", () => {
  it.effect("is found to have succeeded where the second table is gone, and to have failed where it is left", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* settling(5, false))._tag, "Success")
      const failed = yield* settling(5, true)
      assert.strictEqual(failed._tag === "Failure" && failed.failure, lostAnswer)
    }))

  it.effect("is reported as unknown, and not as failed, where the database does not answer any more", () =>
    Effect.gen(function*() {
      const unknown = yield* settling(Infinity, true)
      assert.strictEqual(
        unknown._tag === "Failure" && unknown.failure.message,
        "it is not known whether the rows of table \"t\" are replaced: connect ECONNREFUSED. If they are, there is no schema " +
          "\"second_t\" any more. Run resync --online again; it may be repeated"
      )
    }))
})
