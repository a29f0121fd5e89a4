/** Reports what this process does with its tables and its config, for readers of the database. */
import { Effect } from "effect"
import { isAlive } from "../../domain/bookkeeping/leaseConditions.ts"
import { quoteIdentifier } from "../../domain/postgres/table/identifiers.ts"
import { numberLiteral, textLiteral } from "../../domain/sql/literal.ts"
import { REPEATED_WRITE } from "../../domain/sql/transaction.ts"
import type { Bookkeeping, ReloadReport, TableState } from "../../services/Bookkeeping.ts"
import type { RunStatement } from "../../services/PgPool.ts"

const MAX_CHARACTERS = 1_000

/** The reason may contain a server's message, of any length. */
const literal = (text: string | undefined): string => `${textLiteral(text?.slice(0, MAX_CHARACTERS))}::text`

const ago = (millis: number): string => `clock_timestamp() - interval '${millis} milliseconds'`

/** The methods that write reports, in the name of `writer`. */
export const makeReports = (
  run: RunStatement,
  databaseSchema: string,
  writer: string
): Pick<Bookkeeping["Service"], "report" | "reportReload"> => {
  const schema = quoteIdentifier(databaseSchema)
  const me = literal(writer)

  // Each process has rows of its own, so that none overwrites another's report; those of dead processes are deleted.
  const report = Effect.fn("Bookkeeping.report")(function*(states: ReadonlyArray<TableState>) {
    if (states.length === 0) return
    const tables = states.map(({ table }) => literal(table)).join(", ")
    const rows = states.map(({ ageMillis, confirmations = 0, reason, sourceHead, state, table }) =>
      `(${me}, ${literal(table)}, ${literal(state)}, ${literal(reason)}, ${ago(ageMillis)}, ` +
      `${numberLiteral(sourceHead?.block)}::bigint, to_timestamp(${
        numberLiteral(sourceHead?.atSeconds)
      }::double precision), ${numberLiteral(BigInt(confirmations))})`
    )
    yield* run(
      `${REPEATED_WRITE}; WITH gone AS (
         DELETE FROM ${schema}._ampsync_states s WHERE table_name IN (${tables}) AND writer <> ${me} AND NOT EXISTS (
           SELECT FROM ${schema}._ampsync_writers w
           WHERE w.writer = s.writer AND ${isAlive("w.heartbeat_at")})
       )
       INSERT INTO ${schema}._ampsync_states (writer, table_name, state, reason, since, source_head, source_head_at,
         confirmations)
       VALUES ${rows.join(", ")}
       ON CONFLICT (table_name, writer)
       DO UPDATE SET state = excluded.state, reason = excluded.reason, since = excluded.since,
         source_head = excluded.source_head, source_head_at = excluded.source_head_at,
         confirmations = excluded.confirmations`
    )
  })

  const reportReload = Effect.fn("Bookkeeping.reportReload")(function*({ ageMillis, reason }: ReloadReport) {
    const change = reason === undefined
      ? `config_loaded_at = ${ago(ageMillis)}, reload_failed_at = NULL`
      : `reload_failed_at = ${ago(ageMillis)}`
    yield* run(
      `${REPEATED_WRITE}; UPDATE ${schema}._ampsync_writers SET ${change}, reload_reason = ${literal(reason)}
       WHERE writer = ${me}`
    )
  })

  return { report, reportReload }
}
