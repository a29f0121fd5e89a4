/** Writer leases and heartbeats as rows of the target schema. */
import { Effect, Layer } from "effect"
import { SqlError } from "effect/sql"
import { randomBytes } from "node:crypto"
import { hostname } from "node:os"
import { datasetOf, type Row } from "../domain/bookkeeping/checkpointRow.ts"
import { isHeld } from "../domain/bookkeeping/leaseConditions.ts"
import { ownershipConflict } from "../domain/bookkeeping/ownership.ts"
import type { TableOwner } from "../domain/bookkeeping/TableIdentity.ts"
import type { PreviousHolder, WriterLease } from "../domain/bookkeeping/WriterLease.ts"
import { quoteIdentifier } from "../domain/postgres/table/identifiers.ts"
import { textLiteral } from "../domain/sql/literal.ts"
import { BEGIN_STATEMENTS, beginTransaction, REPEATED_WRITE } from "../domain/sql/transaction.ts"
import { DatabaseConfig } from "../services/Config.ts"
import { isDivisionByZero, isLocked, PgPool, runOn } from "../services/PgPool.ts"
import { Fenced, TableHeld, TableLeases, TableRejected } from "../services/TableLeases.ts"
import { makeEviction } from "./table-leases/eviction.ts"
import { HOLDER, type Holder, leaseOf, previousHolder } from "./table-leases/rows.ts"
import { sessionName, writerName } from "./table-leases/sessionName.ts"

/** The failure of a heartbeat behind one that was given up and is not through yet. */
const earlierHeartbeat = new SqlError.SqlError({
  reason: new SqlError.StatementTimeoutError({
    message: "an earlier heartbeat is still at work in the server, which may wait for its disk",
    operation: "INSERT",
    cause: "an earlier heartbeat"
  })
})

/** `TableLeases` in `_ampsync_checkpoints` and `_ampsync_writers`. */
const make = Effect.gen(function*() {
  const { databaseSchema } = yield* DatabaseConfig
  const pool = yield* PgPool
  const schema = quoteIdentifier(databaseSchema)
  const writerId = randomBytes(4).toString("hex")
  const writer = writerName(hostname(), process.pid, writerId)
  const run = runOn(pool.sql)
  const { evictBuild, evictStale } = makeEviction(run, databaseSchema, writer)
  /** The newest epoch that this process was given, by table. */
  const epochs = new Map<string, bigint>()
  const keepEpoch = (table: string, epoch: bigint) => {
    if (epoch > (epochs.get(table) ?? -1n)) epochs.set(table, epoch)
  }
  /** The holders that `reserve` has replaced, by table, until their leases are acquired. */
  const replaced = new Map<string, PreviousHolder>()

  // The lock is kept until the end of the COMMIT, so that one that hangs there is the only one in the server.
  const heartbeat = Effect.asVoid(run(
    `${REPEATED_WRITE};
     INSERT INTO ${schema}._ampsync_writers (writer, heartbeat_at) SELECT ${textLiteral(writer)}, clock_timestamp()
     WHERE 1 / pg_try_advisory_xact_lock(hashtextextended(${textLiteral(`ampsync heartbeat ${writer}`)}, 0))::int = 1
     ON CONFLICT (writer) DO UPDATE SET heartbeat_at = excluded.heartbeat_at`
  )).pipe(Effect.mapError((error) => isDivisionByZero(error) ? earlierHeartbeat : error))

  /** Reads the holder of a table and whether it is alive. */
  const holder = (table: string, lock: string) =>
    Effect.map(
      run<Row>(
        `SELECT c.dataset, c.position_column, ${HOLDER},
           to_regclass(format('%I.%I', $2::text, c.table_name)) IS NOT NULL AS exists
         FROM ${schema}._ampsync_checkpoints c LEFT JOIN ${schema}._ampsync_writers w USING (writer)
         WHERE c.table_name = $1 ${lock}`,
        [table, databaseSchema]
      ),
      ([row]) => row
    )

  const insert = ({ dataset, table }: TableOwner) =>
    run(
      `INSERT INTO ${schema}._ampsync_checkpoints (table_name, dataset)
       SELECT $1::text, $2::text WHERE NOT EXISTS (SELECT FROM ${schema}._ampsync_checkpoints WHERE table_name = $1)
       ON CONFLICT (table_name) DO NOTHING`,
      [table, dataset]
    )

  const requireOwner = Effect.fnUntraced(function*(owner: TableOwner, held: Row) {
    const { table } = owner
    const reason = ownershipConflict(owner, {
      dataset: datasetOf(held),
      wasFilled: held["position_column"] !== null,
      tableExists: held["exists"] === true
    })
    if (reason !== undefined) return yield* new TableRejected({ table, reason })
  })

  const requireAvailable = Effect.fnUntraced(function*(owner: TableOwner, held: Row) {
    const { table } = owner
    yield* requireOwner(owner, held)
    if (held["alive"] === true && held["writer"] !== writer) {
      return yield* new TableHeld({ table, writer: String(held["writer"]) })
    }
  })

  const acquire = Effect.fn("TableLeases.acquire")(function*(owner: TableOwner) {
    yield* run("SET LOCAL lock_timeout TO '5s'")
    // Read without a lock: a standby must not wait for the writer's transactions, nor the writer for the standby.
    const found = yield* holder(owner.table, "")
    // Even an INSERT without effect waits for a transaction that changes the row, so none is sent where a row exists.
    if (found === undefined) yield* insert(owner)
    else yield* requireAvailable(owner, found)
    const held = (yield* holder(owner.table, "FOR UPDATE OF c"))!
    yield* requireAvailable(owner, held)
    return yield* take(owner, held)
  })

  const takeOver = Effect.fn("TableLeases.takeOver")(function*(owner: TableOwner) {
    yield* run("SET LOCAL lock_timeout TO '5s'")
    yield* insert(owner)
    const held = (yield* holder(owner.table, "FOR UPDATE OF c"))!
    yield* requireOwner(owner, held)
    return yield* take(owner, held)
  })

  /** Makes this process the holder in the row that `held` is, which is locked. */
  const take = Effect.fnUntraced(function*(owner: TableOwner, held: Row) {
    // A server that lost its last transactions would give the same epoch to this process a second time.
    const [row] = yield* run<Row>(
      `UPDATE ${schema}._ampsync_checkpoints SET writer_epoch = greatest(writer_epoch, $4::bigint) + 1, writer = $2, dataset = $3
       WHERE table_name = $1
       RETURNING table_name, writer_epoch, commit_seq, rows, provisional_rows, network, origin_block, unverified_from,
         position_column, query_fingerprint, dataset_version, to_jsonb(column_names) AS column_names`,
      [owner.table, writer, owner.dataset, String(epochs.get(owner.table) ?? 0n)]
    )
    const history = yield* run<Row>(
      `SELECT block_num, hash FROM ${schema}._ampsync_watermarks WHERE table_name = $1 ORDER BY block_num`,
      [owner.table]
    )
    const takenFrom = previousHolder(held, writer, epochs.get(owner.table)) ?? replaced.get(owner.table)
    replaced.delete(owner.table)
    const lease = leaseOf(row!, history, held["exists"] === true, takenFrom)
    keepEpoch(owner.table, lease.epoch)
    return lease
  })

  /** The holders of these tables, by table; a table without a checkpoint has no entry. */
  const holders = (owners: ReadonlyArray<TableOwner>, lock: string) =>
    run<Holder>(
      `SELECT c.table_name, ${HOLDER}
       FROM unnest($1::text[], $2::text[]) o (table_name, dataset)
       JOIN ${schema}._ampsync_checkpoints c USING (table_name, dataset)
       LEFT JOIN ${schema}._ampsync_writers w USING (writer) ORDER BY 1 ${lock}`,
      [owners.map(({ table }) => table), owners.map(({ dataset }) => dataset)]
    )

  const otherHolder = (rows: ReadonlyArray<Holder>): string | undefined =>
    rows.find(({ alive, writer: holder }) => alive === true && holder !== writer)?.writer ?? undefined

  const reserve = Effect.fn("TableLeases.reserve")(function*(owners: ReadonlyArray<TableOwner>) {
    // Without a lock, as in `acquire`: a process that waits asks often.
    const found = yield* holders(owners, "")
    const other = otherHolder(found)
    const own = new Set(found.filter((row) => row.writer === writer).map((row) => row.table_name))
    // Transactions of this process on its tables, such as the deletion of a long reorg, are neither waited for nor ended.
    const wanted = owners.filter(({ table }) => !own.has(table))
    const [first] = wanted
    // The process at work goes on with its other tables where a resync takes one of them over.
    if (other !== undefined) return own.size > 0 ? undefined : other
    if (first === undefined) return undefined
    return yield* pool.transaction(
      sessionName(writerId, first.table),
      Effect.gen(function*() {
        yield* run("SET LOCAL lock_timeout TO '5s'")
        // Of two processes that start at once, each might otherwise get some of the tables.
        yield* run("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", [
          `ampsync reservation ${JSON.stringify(databaseSchema)}`
        ])
        yield* Effect.forEach(wanted, insert, { discard: true })
        const held = yield* holders(wanted, "FOR UPDATE OF c")
        const other = otherHolder(held) ?? otherHolder(yield* holders(owners, ""))
        if (other !== undefined) return other
        const given = yield* run<Pick<Holder, "table_name" | "writer_epoch">>(
          `UPDATE ${schema}._ampsync_checkpoints SET writer = $2, writer_epoch = writer_epoch + 1
           WHERE table_name = ANY($1) AND writer IS DISTINCT FROM $2 RETURNING table_name, writer_epoch`,
          [held.map((row) => row.table_name), writer]
        )
        return { held, given }
      })
    ).pipe(
      Effect.map((reserved) => {
        if (typeof reserved === "string") return reserved
        for (const row of reserved.held) {
          const holder = previousHolder(row, writer, epochs.get(row.table_name))
          if (holder !== undefined) replaced.set(row.table_name, holder)
        }
        for (const { table_name: table, writer_epoch: epoch } of reserved.given) keepEpoch(table, BigInt(epoch))
        return undefined
      }),
      // The process before this one may hang in a transaction.
      Effect.tapError((error) =>
        isLocked(error) ? Effect.ignore(Effect.forEach(wanted, ({ table }) => evictStale(table))) : Effect.void
      )
    )
  })

  const release = Effect.fn("TableLeases.release")(function*(table: string) {
    // An abandoned transaction of this process may hold the row for long, and a stop must not wait for it.
    yield* run(
      `UPDATE ${schema}._ampsync_checkpoints SET writer = NULL WHERE table_name =
         (SELECT table_name FROM ${schema}._ampsync_checkpoints WHERE table_name = $1 AND writer = $2 FOR UPDATE SKIP LOCKED)`,
      [table, writer]
    )
  })

  const fenceStatement = (lease: WriterLease) =>
    `WITH held AS (UPDATE ${schema}._ampsync_checkpoints SET commit_seq = commit_seq + 1 ` +
    `WHERE ${isHeld(writer, lease, lease.commitSeq)} RETURNING 1) SELECT 1 / count(*) FROM held`

  const fence = Effect.fn("TableLeases.fence")((lease: WriterLease) =>
    Effect.asVoid(run(fenceStatement(lease))).pipe(
      Effect.mapError((error) => isDivisionByZero(error) ? new Fenced({ table: lease.table }) : error)
    )
  )

  const isCurrent = Effect.fn("TableLeases.isCurrent")((lease: WriterLease) =>
    Effect.map(
      run(`SELECT FROM ${schema}._ampsync_checkpoints WHERE ${isHeld(writer, lease, lease.commitSeq)}`),
      (rows) => rows.length > 0
    )
  )

  return TableLeases.of({
    writer,
    heartbeat,
    acquire,
    takeOver,
    reserve,
    release,
    evictStale,
    evictBuild,
    fence,
    isCurrent,
    open: (lease) => ({
      text: `${beginTransaction(sessionName(writerId, lease.table))}; ${fenceStatement(lease)}`,
      guard: BEGIN_STATEMENTS
    }),
    transaction: (table, effect, mode) => pool.transaction(sessionName(writerId, table), effect, mode),
    withDedicatedConnection: (table, use) => pool.withDedicatedConnection(sessionName(writerId, table), use),
    dedicatedTransaction: (table, statements) => pool.dedicatedTransaction(sessionName(writerId, table), statements)
  })
})

export const layer: Layer.Layer<TableLeases, never, DatabaseConfig | PgPool> = Layer.effect(TableLeases, make)
