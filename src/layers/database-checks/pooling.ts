/** Finds out what is between this client and PostgreSQL. */
import { Effect } from "effect"
import type { SqlError } from "effect/sql"
import type { Pooling } from "../../services/DatabaseChecks.ts"
import type { PgPool, RunStatement } from "../../services/PgPool.ts"

const SESSION_NAME = "ampsync doctor"
/** A pooler may happen to give each client the same session again. */
const ROUNDS = 3

const sessionOf = (run: RunStatement) =>
  Effect.map(run<{ readonly pid: number }>("SELECT pg_backend_pid() AS pid"), ([row]) => row!.pid)

/**
 * Two clients have a connection each. Only a pooler that lends sessions by transaction gives both the same session, or one of
 * them another one while the first is in use: while one client is in a transaction, the other one's must differ from it.
 */
export const readPooling = Effect.fnUntraced(
  function*(pool: PgPool["Service"]): Effect.fn.Return<Pooling, SqlError.SqlError> {
    const isDirect = yield* Effect.scoped(Effect.map(pool.pipeline, ({ isDirect }) => isDirect))
    if (isDirect) return "none"
    return yield* pool.withDedicatedConnection(
      SESSION_NAME,
      (first) =>
        pool.withDedicatedConnection(SESSION_NAME, (second) =>
          Effect.gen(function*() {
            const ofFirst = new Set<number>()
            const ofSecond = new Set<number>()
            for (let round = 0; round < ROUNDS; round += 1) {
              ofFirst.add(yield* sessionOf(first))
              yield* second("BEGIN")
              ofSecond.add(yield* sessionOf(second))
              ofFirst.add(yield* sessionOf(first))
              yield* second("ROLLBACK")
              const isShared = [...ofFirst].some((session) => ofSecond.has(session))
              if (isShared || ofFirst.size > 1 || ofSecond.size > 1) return "transaction"
            }
            return "session"
          }))
    )
  }
)
