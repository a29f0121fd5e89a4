import { Effect, Layer } from "effect"
import { randomBytes } from "node:crypto"
import { hostname } from "node:os"
import { isSameWatermark } from "../domain/chain/watermarks.ts"
import { quoteIdentifier } from "../domain/postgres/identifiers.ts"
import type { Advance, Claim, TableIdentity } from "../services/Checkpoints.ts"
import { Checkpoints, Fenced, TableHeld } from "../services/Checkpoints.ts"
import { AmpsyncConfig } from "../services/Config.ts"
import { PgPool } from "../services/PgPool.ts"
import { activityOf } from "./checkpoints/activity.ts"
import { bookkeepingDdl, missingRights } from "./checkpoints/ddl.ts"
import { columnsOf, makeLooks, refuseOwner, type Row } from "./checkpoints/looks.ts"

/** A writer that said nothing for so long is taken for dead: three heartbeats of two seconds. */
const STALE = "interval '6 seconds'"

/** `Checkpoints` kept in the tables `_ampsync_*` of the target schema. */
const make = Effect.gen(function*() {
  const { databaseSchema } = yield* AmpsyncConfig
  const { sql, transaction } = yield* PgPool
  const schema = quoteIdentifier(databaseSchema)
  const writerId = randomBytes(4).toString("hex")
  const writer = `${hostname()} pid ${process.pid} (${writerId})`
  const run = (statement: string, params: ReadonlyArray<unknown> = []) => sql.unsafe<Row>(statement, [...params])

  const ensure = Effect.gen(function*() {
    const rights = yield* missingRights(run, databaseSchema)
    if (rights !== undefined) return yield* rights
    yield* transaction(
      "ampsync start",
      Effect.gen(function*() {
        // Two processes that start together must not create the same tables at once.
        yield* run("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", [`ampsync ${databaseSchema}`])
        yield* Effect.forEach(yield* bookkeepingDdl(run, databaseSchema), (statement) => run(statement), {
          discard: true
        })
      })
    )
    yield* run(`DELETE FROM ${schema}._ampsync_writers WHERE heartbeat_at < clock_timestamp() - interval '1 day'`)
    yield* heartbeat
  })

  const pending = Effect.gen(function*() {
    const rights = yield* missingRights(run, databaseSchema)
    if (rights !== undefined) return yield* rights
    return yield* bookkeepingDdl(run, databaseSchema)
  })

  const heartbeat = Effect.asVoid(run(
    `INSERT INTO ${schema}._ampsync_writers (writer, heartbeat_at) VALUES ($1, clock_timestamp())
     ON CONFLICT (writer) DO UPDATE SET heartbeat_at = excluded.heartbeat_at`,
    [writer]
  ))

  const activity = (table: string) => activityOf(writerId, table)

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

  const forget = Effect.fn("Checkpoints.forget")(function*(held: Claim, rows: bigint) {
    yield* run(`DELETE FROM ${schema}._ampsync_watermarks WHERE table_name = $1`, [held.table])
    const [row] = yield* run(
      `UPDATE ${schema}._ampsync_checkpoints
       SET max_block_num = NULL, watermark_hash = NULL, watermark_at = NULL, block_at = NULL, origin_block = NULL,
         network = NULL, unverified_from = NULL, rows = $3, provisional_rows = $3, position_column = $2
       WHERE table_name = $1 RETURNING *`,
      [held.table, held.positionColumn, rows]
    )
    return claimOf(held.table, row!, [], true, undefined, undefined)
  })

  const advance = Effect.fn("Checkpoints.advance")(function*(held: Claim, change: Advance) {
    const { known } = change
    const watermark = known.history.at(-1)
    const moved = !isSameWatermark(watermark, held.history.at(-1))
    const [row] = yield* run(
      `UPDATE ${schema}._ampsync_checkpoints
       SET commit_seq = commit_seq + 1, updated_at = clock_timestamp(), max_block_num = $4, watermark_hash = $5,
         watermark_at = CASE WHEN $6 THEN clock_timestamp() ELSE watermark_at END,
         block_at = CASE WHEN $6 THEN to_timestamp($7::double precision) ELSE block_at END,
         network = $8, origin_block = $9, unverified_from = $10, rows = rows + $11, provisional_rows = $12
       WHERE table_name = $1 AND writer_epoch = $2 AND commit_seq = $3 RETURNING table_name`,
      [
        held.table,
        held.epoch,
        held.commitSeq,
        watermark?.block ?? null,
        watermark?.hash ?? null,
        moved,
        change.blockTimestamp ?? null,
        known.network ?? null,
        known.origin ?? null,
        known.unverifiedFrom ?? null,
        change.rowsAdded,
        change.provisionalRows
      ]
    )
    if (row === undefined) return yield* new Fenced({ table: held.table })
    yield* saveHistory(held, change)
    for (const reorg of change.reorgs) {
      yield* run(
        `INSERT INTO ${schema}._ampsync_reorgs (table_name, first_block, depth, old_hash, new_hash) VALUES ($1, $2, $3, $4, $5)`,
        [
          held.table,
          reorg.firstBlock,
          reorg.replaced === undefined ? 0n : reorg.replaced.block - reorg.firstBlock + 1n,
          reorg.replaced?.hash ?? null,
          reorg.newHash
        ]
      )
    }
    return {
      ...held,
      ...known,
      commitSeq: held.commitSeq + 1n,
      rows: held.rows + BigInt(change.rowsAdded),
      provisionalRows: change.provisionalRows
    }
  })

  const saveHistory = Effect.fnUntraced(function*(held: Claim, { known }: Advance) {
    const wanted = new Map(known.history.map((entry) => [entry.block, entry.hash]))
    const stored = new Map(held.history.map((entry) => [entry.block, entry.hash]))
    const gone = held.history.filter((entry) => !wanted.has(entry.block)).map((entry) => entry.block)
    const added = known.history.filter((entry) => stored.get(entry.block) !== entry.hash)
    if (gone.length > 0) {
      yield* run(`DELETE FROM ${schema}._ampsync_watermarks WHERE table_name = $1 AND block_num = ANY($2::bigint[])`, [
        held.table,
        gone.map(String)
      ])
    }
    if (added.length > 0) {
      yield* run(
        `INSERT INTO ${schema}._ampsync_watermarks (table_name, block_num, hash)
         SELECT $1, * FROM unnest($2::bigint[], $3::text[])
         ON CONFLICT (table_name, block_num) DO UPDATE SET hash = excluded.hash, reached_at = excluded.reached_at`,
        [held.table, added.map((entry) => String(entry.block)), added.map((entry) => entry.hash)]
      )
    }
  })

  const recount: Checkpoints["Service"]["recount"] = Effect.fn("Checkpoints.recount")(function*(held, counts) {
    yield* run(
      `UPDATE ${schema}._ampsync_checkpoints SET rows = rows - $2, provisional_rows = $3 WHERE table_name = $1`,
      [held.table, counts.rowsRemoved, counts.provisionalRows]
    )
    // The rows of one transaction belong to its newest reorg; an earlier one in it had nothing left to remove.
    yield* run(
      `UPDATE ${schema}._ampsync_reorgs SET rows_removed = $2
       WHERE id = (SELECT max(id) FROM ${schema}._ampsync_reorgs WHERE table_name = $1) AND xmin = pg_current_xact_id()::xid`,
      [held.table, counts.rowsRemoved]
    )
    return { ...held, rows: held.rows - BigInt(counts.rowsRemoved), provisionalRows: counts.provisionalRows }
  })

  const release = Effect.fn("Checkpoints.release")(function*(table: string) {
    // A transaction of ours that was abandoned may hold the row for long, and a stop must not wait for it.
    yield* run(
      `UPDATE ${schema}._ampsync_checkpoints SET writer = NULL WHERE table_name =
         (SELECT table_name FROM ${schema}._ampsync_checkpoints WHERE table_name = $1 AND writer = $2 FOR UPDATE SKIP LOCKED)`,
      [table, writer]
    )
  })

  return Checkpoints.of({
    ensure,
    pending,
    activity,
    claim,
    ...makeLooks(run, databaseSchema),
    evictStale,
    forget,
    advance,
    recount,
    heartbeat,
    release
  })
})

export const layer: Layer.Layer<Checkpoints, never, PgPool | AmpsyncConfig> = Layer.effect(Checkpoints, make)

const claimOf = (
  table: string,
  row: Row,
  history: ReadonlyArray<Row>,
  isNew: boolean,
  earlierFingerprint: unknown,
  earlierColumns: unknown
): Claim => ({
  table,
  epoch: BigInt(row["writer_epoch"] as string),
  commitSeq: BigInt(row["commit_seq"] as string),
  rows: BigInt(row["rows"] as string),
  provisionalRows: BigInt(row["provisional_rows"] as string),
  positionColumn: row["position_column"] as string,
  isNew,
  earlierFingerprint: typeof earlierFingerprint === "string" ? earlierFingerprint : undefined,
  earlierColumns: columnsOf(earlierColumns),
  network: (row["network"] as string | null) ?? undefined,
  origin: optionalBlock(row["origin_block"]),
  unverifiedFrom: optionalBlock(row["unverified_from"]),
  history: history.map((entry) => ({ block: BigInt(entry["block_num"] as string), hash: entry["hash"] as string }))
})

const optionalBlock = (value: unknown): bigint | undefined => (value === null ? undefined : BigInt(value as string))
