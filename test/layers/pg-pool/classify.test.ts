/** What becomes of a table after each kind of error that PostgreSQL, or a pooler in front of it, reports for a chunk. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { TestClock } from "effect/testing"
import { addEvent, emptyChunk } from "../../../src/domain/chain/Chunk.ts"
import { classify } from "../../../src/layers/pg-pool/classify.ts"
import { explainFailure } from "../../../src/layers/table-sink/explainFailure.ts"
import { checkpointOf, rangeOf } from "../../support/chunks.ts"
import { supervised } from "../../support/supervised.ts"

interface Given {
  readonly code: string
  /** As PostgreSQL words it. */
  readonly message: string
  readonly severity?: string
  readonly routine?: string
  readonly operation?: string
}

const fatal = (code: string, message: string): Given => ({ code, message, severity: "FATAL" })

const definition = {
  schema: "s",
  table: "t",
  columns: [],
  positionColumn: "_block_num",
  primaryKey: undefined,
  comment: undefined
}

const begun = emptyChunk(checkpointOf())
const chunk = addEvent(begun, {
  _tag: "RangeStarted",
  range: rangeOf(5n, 6n),
  checkpoint: begun.checkpoint,
  endIsDeclared: true
})

/** The failure of a chunk of blocks 5 to 6. */
const failureOf = ({ operation = "transaction", severity = "ERROR", ...fields }: Given) =>
  explainFailure(definition)(classify({ severity, ...fields }, operation), chunk)

/** These end by themselves, or with what another session does: the table stays retried, and shows the reason meanwhile. */
const stalled: ReadonlyArray<Given> = [
  // The connection.
  { code: "08000", message: "connection exception" },
  { code: "08003", message: "connection does not exist" },
  { code: "08006", message: "connection failure" },
  { code: "08P01", message: "query_wait_timeout" },
  // The state of a transaction or session, which the next one does not have.
  { code: "25001", message: "there is already a transaction in progress" },
  { code: "25006", message: "cannot execute INSERT in a read-only transaction" },
  { code: "25P02", message: "current transaction is aborted" },
  fatal("25P03", "terminating connection due to idle-in-transaction timeout"),
  fatal("25P04", "terminating connection due to transaction timeout"),
  { code: "26000", message: "prepared statement \"s1\" does not exist" },
  { code: "0A000", message: "cached plan must not change result type", routine: "RevalidateCachedQuery" },
  // Other transactions.
  { code: "40001", message: "could not serialize access due to concurrent update" },
  { code: "40003", message: "statement completion unknown" },
  { code: "40P01", message: "deadlock detected" },
  { code: "55000", message: "the database system is not in a state to do so" },
  { code: "55006", message: "cannot ALTER TABLE \"t\" because it is being used by active queries in this session" },
  { code: "55P03", message: "canceling statement due to lock timeout" },
  { code: "55P04", message: "unsafe use of new value of enum type" },
  { code: "72000", message: "snapshot too old" },
  { code: "XX000", message: "tuple concurrently updated" },
  { code: "XX000", message: "cache lookup failed for relation 16400" },
  // Resources.
  { code: "53000", message: "insufficient resources" },
  { code: "53100", message: "could not extend file: No space left on device" },
  { code: "53200", message: "out of memory" },
  fatal("53300", "sorry, too many clients already"),
  { code: "53400", message: "temporary file size exceeds temp_file_limit" },
  { code: "54000", message: "too many notifications in the NOTIFY queue", operation: "COMMIT" },
  // Operators, shutdown and failover.
  { code: "57000", message: "operator intervention" },
  { code: "57014", message: "canceling statement due to user request" },
  fatal("57P01", "terminating connection due to administrator command"),
  fatal("57P02", "the database system is in recovery mode"),
  fatal("57P03", "the database system is starting up"),
  fatal("57P04", "terminating connection because the database was dropped"),
  fatal("57P05", "terminating connection due to idle-session timeout"),
  // The system below.
  { code: "58000", message: "system error" },
  { code: "58030", message: "could not read file: Input/output error" },
  { code: "58P01", message: "could not open file" },
  // Whatever ends the session in the middle, also under a code of something else.
  fatal("XX000", "DbHandler exited"),
  fatal("XX001", "the server ended the session"),
  fatal("22023", "invalid startup parameter"),
  fatal("0A000", "unsupported"),
  { code: "P0001", message: "the server crashed", severity: "PANIC" },
  // The table or its statements are no longer what they were: it is prepared again, which rejects it where it does not fit.
  { code: "42703", message: "column \"note\" does not exist" },
  { code: "42P01", message: "relation \"t\" does not exist" },
  // A login may be in rotation, and worked before.
  { ...fatal("28P01", "password authentication failed"), operation: "connect" },
  { ...fatal("3D000", "database \"d\" does not exist"), operation: "connect" }
]

/** These need a change of the config, the data, the rights or the server: the table is parked with the reason. */
const parked: ReadonlyArray<Given> = [
  { code: "0A000", message: "COPY FROM not supported with row-level security" },
  { code: "22003", message: "numeric value out of range" },
  { code: "23502", message: "null value in column" },
  { code: "23503", message: "violates foreign key constraint" },
  { code: "23505", message: "duplicate key value violates unique constraint" },
  { code: "23514", message: "violates check constraint" },
  { code: "42501", message: "permission denied for table t" },
  fatal("42501", "permission denied for database"),
  fatal("28000", "no pg_hba.conf entry"),
  fatal("3D000", "database \"d\" does not exist"),
  { code: "54001", message: "stack depth limit exceeded" },
  { code: "54000", message: "index row size exceeds maximum" },
  { code: "P0001", message: "raised by a function" },
  // More rows would make it worse, and only an operator can repair it.
  { code: "XX001", message: "invalid page in block 3 of relation base/5/16400" },
  { code: "XX002", message: "table tid from new index tuple overlaps with invalid duplicate tuple" }
]

const nameOf = ({ code, message, operation, severity = "ERROR" }: Given) =>
  `${severity} ${code} (${message})${operation === undefined ? "" : ` at ${operation}`}`

describe("a table whose chunk fails", () => {
  it.effect.each([
    ...stalled.map((given) => [nameOf(given), "stalled", given] as const),
    ...parked.map((given) => [nameOf(given), "parked", given] as const)
  ])("with %s is %s", ([, phase, given]) =>
    Effect.gen(function*() {
      const error = failureOf(given)
      if (error._tag === "TableChanged" || error._tag === "RowTooLargeForIndex") {
        return assert.strictEqual(phase, error._tag === "TableChanged" ? "stalled" : "parked")
      }
      const it = yield* supervised({ prepare: Effect.fail(error), open: () => Effect.succeed(Stream.never) })
      yield* TestClock.adjust("3 minutes")
      assert.strictEqual(yield* it.phase, phase)
      assert.strictEqual((yield* it.status).reason, error.message)
      assert.include(error.message, given.code)
      if (phase === "stalled" && given.code !== "P0001" && given.code !== "22023") {
        assert.include(error.message, given.message, "no value is in texts of its class")
      }
    }))

  it("and whose data is damaged is parked with what to do", () => {
    assert.strictEqual(
      failureOf({ code: "XX001", message: "invalid page in block 3 of relation base/5/16400" }).message,
      "blocks 5 to 6: PostgreSQL: invalid page in block 3 of relation base/5/16400 (SQLSTATE XX001); what the database has " +
        "stored is damaged: restore or repair it, then start ampsync again"
    )
  })
})
