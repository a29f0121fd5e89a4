/** Who may write a table: acquiring its lease, releasing it, and taking it from a process that fell silent. */
import { Effect } from "effect"
import { quoteIdentifier } from "../../domain/postgres/identifiers.ts"
import {
  type Checkpoints,
  Fenced,
  TableHeld,
  type TableIdentity,
  type TableOwner,
  type WriterLease
} from "../../services/Checkpoints.ts"
import { activityOf } from "./activity.ts"
import { isAlive } from "./isAlive.ts"
import { isFilledByOther, refuseOwner } from "./looks.ts"
import { leaseOf, type Row, type Run } from "./rows.ts"

export const makeLeases = (
  run: Run,
  databaseSchema: string,
  writer: string
): Pick<Checkpoints["Service"], "acquire" | "evictStale" | "record" | "release"> => {
  const schema = quoteIdentifier(databaseSchema)

  const holder = (table: string, lock: string) =>
    Effect.map(
      run(
        `SELECT c.dataset, c.writer, c.position_column, ${isAlive("w.heartbeat_at")} AS alive,
           to_regclass(format('%I.%I', $2::text, c.table_name)) IS NOT NULL AS exists
         FROM ${schema}._ampsync_checkpoints c LEFT JOIN ${schema}._ampsync_writers w USING (writer)
         WHERE c.table_name = $1 ${lock}`,
        [table, databaseSchema]
      ),
      ([row]) => row
    )

  const insert = ({ dataset, table }: TableOwner) =>
    run(
      `INSERT INTO ${schema}._ampsync_checkpoints (table_name, dataset) VALUES ($1, $2)
       ON CONFLICT (table_name) DO NOTHING`,
      [table, dataset]
    )

  const mayTake = Effect.fnUntraced(function*(owner: TableOwner, held: Row) {
    const { table } = owner
    if (isFilledByOther(owner, held)) return yield* refuseOwner(owner, held["dataset"])
    if (held["alive"] === true && held["writer"] !== writer) {
      return yield* new TableHeld({ table, writer: String(held["writer"]) })
    }
  })

  const acquire = Effect.fn("Checkpoints.acquire")(function*(owner: TableOwner) {
    yield* run("SET LOCAL lock_timeout TO '5s'")
    // Read without a lock: whoever only stands by must not queue behind the transactions of the writer, nor it behind us.
    const seen = yield* holder(owner.table, "")
    // Even an INSERT that does nothing waits for a transaction that changes the row, so there is none where a row is.
    if (seen === undefined) yield* insert(owner)
    else yield* mayTake(owner, seen)
    const held = (yield* holder(owner.table, "FOR UPDATE OF c"))!
    yield* mayTake(owner, held)
    const [row] = yield* run(
      `UPDATE ${schema}._ampsync_checkpoints SET writer_epoch = writer_epoch + 1, writer = $2, dataset = $3
       WHERE table_name = $1 RETURNING *`,
      [owner.table, writer, owner.dataset]
    )
    const history = yield* run(
      `SELECT block_num, hash FROM ${schema}._ampsync_watermarks WHERE table_name = $1 ORDER BY block_num`,
      [owner.table]
    )
    return leaseOf(row!, history, held["exists"] === true)
  })

  const record = Effect.fn("Checkpoints.record")(function*(lease: WriterLease, identity: TableIdentity) {
    const [row] = yield* run(
      `UPDATE ${schema}._ampsync_checkpoints
       SET dataset_version = $4, query_fingerprint = $5, position_column = $6, column_names = coalesce($7, column_names)
       WHERE table_name = $1 AND writer_epoch = $2 AND writer = $3 RETURNING table_name`,
      [
        lease.table,
        lease.epoch,
        writer,
        identity.version ?? null,
        identity.fingerprint,
        identity.positionColumn,
        identity.columns ?? null
      ]
    )
    if (row === undefined) return yield* new Fenced({ table: lease.table })
  })

  const evictStale = Effect.fn("Checkpoints.evictStale")(function*(table: string) {
    // Whoever hangs need not be the recorded holder: a process that hangs while it acquires is not recorded yet.
    const silent = yield* run(
      `SELECT writer FROM ${schema}._ampsync_writers
       WHERE writer = $1 OR NOT (${isAlive("heartbeat_at")})
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

  return { acquire, evictStale, record, release }
}
