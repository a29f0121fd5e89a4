/** Who may write a table: taking the right to it, giving it back, and taking it from one who fell silent. */
import { Effect } from "effect"
import { quoteIdentifier } from "../../domain/postgres/identifiers.ts"
import { type Checkpoints, TableHeld, type TableIdentity } from "../../services/Checkpoints.ts"
import { activityOf } from "./activity.ts"
import { refuseOwner } from "./looks.ts"
import { claimOf, type Row, type Run } from "./rows.ts"

/** A writer that said nothing for so long is taken for dead: three heartbeats of two seconds. */
export const STALE = "interval '6 seconds'"

export const makeClaims = (
  run: Run,
  databaseSchema: string,
  writer: string
): Pick<Checkpoints["Service"], "claim" | "evictStale" | "release"> => {
  const schema = quoteIdentifier(databaseSchema)

  const holder = (table: string, lock: string) =>
    Effect.map(
      run(
        `SELECT c.dataset, c.writer, c.query_fingerprint, c.column_names, w.heartbeat_at > clock_timestamp() - ${STALE} AS alive,
           to_regclass(format('%I.%I', $2::text, c.table_name)) IS NOT NULL AS exists
         FROM ${schema}._ampsync_checkpoints c LEFT JOIN ${schema}._ampsync_writers w USING (writer)
         WHERE c.table_name = $1 ${lock}`,
        [table, databaseSchema]
      ),
      ([row]) => row
    )

  const insert = (identity: TableIdentity) =>
    run(
      `INSERT INTO ${schema}._ampsync_checkpoints (table_name, dataset, position_column, query_fingerprint)
       VALUES ($1, $2, $3, $4) ON CONFLICT (table_name) DO NOTHING RETURNING table_name`,
      [identity.table, identity.dataset, identity.positionColumn, identity.fingerprint]
    )

  const mayTake = Effect.fnUntraced(function*(identity: TableIdentity, held: Row) {
    const { table } = identity
    // Who dropped the data table gave up what its checkpoint says: the claim goes on, and the table starts again.
    const isOurs = held["dataset"] === identity.dataset || held["exists"] === false
    if (!isOurs) return yield* refuseOwner(identity, held["dataset"])
    if (held["alive"] === true && held["writer"] !== writer) {
      return yield* new TableHeld({ table, writer: String(held["writer"]) })
    }
  })

  const claim = Effect.fn("Checkpoints.claim")(function*(identity: TableIdentity) {
    yield* run("SET LOCAL lock_timeout TO '5s'")
    // A look without a lock: whoever only stands by must not queue behind the transactions of the writer, nor it behind us.
    const seen = yield* holder(identity.table, "")
    if (seen !== undefined) yield* mayTake(identity, seen)
    // Even an INSERT that does nothing waits for a transaction that changes the row, so there is none where a row is.
    const created = seen === undefined ? yield* insert(identity) : []
    const held = (yield* holder(identity.table, "FOR UPDATE OF c"))!
    yield* mayTake(identity, held)
    const [row] = yield* run(
      `UPDATE ${schema}._ampsync_checkpoints
       SET writer_epoch = writer_epoch + 1, writer = $2, dataset_version = $3, query_fingerprint = $4, dataset = $5,
         column_names = coalesce($6, column_names)
       WHERE table_name = $1 RETURNING *`,
      [
        identity.table,
        writer,
        identity.version ?? null,
        identity.fingerprint,
        identity.dataset,
        identity.columns ?? null
      ]
    )
    const history = yield* run(
      `SELECT block_num, hash FROM ${schema}._ampsync_watermarks WHERE table_name = $1 ORDER BY block_num`,
      [identity.table]
    )
    const earlier = held["query_fingerprint"]
    return claimOf(
      identity.table,
      row!,
      history,
      created.length > 0,
      earlier === identity.fingerprint ? undefined : earlier,
      held["column_names"]
    )
  })

  const evictStale = Effect.fn("Checkpoints.evictStale")(function*(table: string) {
    // Whoever hangs need not be the recorded holder: a claim that hangs has not recorded itself yet.
    const silent = yield* run(
      `SELECT writer FROM ${schema}._ampsync_writers
       WHERE writer = $1 OR heartbeat_at < clock_timestamp() - ${STALE}
       UNION SELECT c.writer FROM ${schema}._ampsync_checkpoints c
       WHERE c.table_name = $2 AND NOT EXISTS (SELECT FROM ${schema}._ampsync_writers w WHERE w.writer = c.writer)`,
      [writer, table]
    )
    const ids = silent.flatMap((row) => /\(([0-9a-f]{8})\)$/.exec(String(row["writer"]))?.[1] ?? [])
    const ended = yield* run(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE application_name = ANY($1) AND datname = current_database() AND xact_start IS NOT NULL
         AND pid <> pg_backend_pid()`,
      [ids.map((id) => activityOf(id, table))]
    )
    return ended.length
  })

  const release = Effect.fn("Checkpoints.release")(function*(table: string) {
    // A transaction of ours that was abandoned may hold the row for long, and a stop must not wait for it.
    yield* run(
      `UPDATE ${schema}._ampsync_checkpoints SET writer = NULL WHERE table_name =
         (SELECT table_name FROM ${schema}._ampsync_checkpoints WHERE table_name = $1 AND writer = $2 FOR UPDATE SKIP LOCKED)`,
      [table, writer]
    )
  })

  return { claim, evictStale, release }
}
