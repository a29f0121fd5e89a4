/** Finds out what became of the transaction that replaces the rows of a table, where its answer was lost. */
import { Effect, Schedule, Schema } from "effect"
import type { SqlError } from "effect/sql"
import type { TableOwner } from "../../../domain/bookkeeping/TableIdentity.ts"
import { isRetryable } from "../../../domain/retryable.ts"
import { TableExchange } from "../../../services/TableExchange.ts"
import { TableLeases } from "../../../services/TableLeases.ts"

/** So often the database is asked, a second apart. */
const ATTEMPTS = 60

/** The answer to the COMMIT was lost, and the database cannot be asked. */
export class OnlineResyncUnknown extends Schema.TaggedError<OnlineResyncUnknown>()("OnlineResyncUnknown", {
  table: Schema.String,
  /** Of the second table. */
  schema: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return unknownOutcome(this.table, this.schema, `: ${this.reason}`)
  }
}

/** `why` follows what is not known. */
export const unknownOutcome = (table: string, schema: string, why = ""): string =>
  `it is not known whether the rows of table "${table}" are replaced${why}. If they are, there is no schema "${schema}" any ` +
  "more. Run resync --online again; it may be repeated"

/** Becomes the writer of the table; the process that was stands by from its next commit on. */
export const takeOver = (owner: TableOwner) =>
  Effect.flatMap(TableLeases, (leases) => leases.transaction(owner.table, leases.takeOver(owner)))

/**
 * Whether the rows are replaced, after a transaction whose end was not seen. Once this process has the lease again, that transaction
 * has ended: it held the lease until then.
 */
export const isReplaced = Effect.fnUntraced(function*(owner: TableOwner) {
  const [{ hasSecond }, leases] = [yield* TableExchange, yield* TableLeases]
  // One that waits for a lock would go on after its connection was closed.
  yield* leases.evictStale(owner.table)
  yield* takeOver(owner)
  return !(yield* hasSecond(owner.table))
})

/** What became of a transaction that ended with `error`: succeeds where it committed, and fails with `error` where it did not. */
export const settle = Effect.fnUntraced(function*(
  owner: TableOwner,
  error: SqlError.SqlError
): Effect.fn.Return<undefined, OnlineResyncUnknown | SqlError.SqlError, TableExchange | TableLeases> {
  const { table } = owner
  const { schemaOf } = yield* TableExchange
  const replaced = yield* Effect.mapError(
    Effect.retry(isReplaced(owner), { schedule: Schedule.spaced("1 second"), times: ATTEMPTS, while: isRetryable }),
    ({ message }) => new OnlineResyncUnknown({ table, schema: schemaOf(table), reason: message })
  )
  return replaced ? undefined : yield* Effect.fail(error)
})
