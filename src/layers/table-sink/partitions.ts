/** Makes the partitions of a table before rows need them. Invariant I3: only under its lease. */
import { Effect } from "effect"
import type { SqlError } from "effect/sql"
import { isHeld } from "../../domain/bookkeeping/leaseConditions.ts"
import type { BlockRange } from "../../domain/chain/BlockRange.ts"
import { quoteIdentifier } from "../../domain/postgres/table/identifiers.ts"
import {
  createPartition,
  type FoundPartitioning,
  MANY_PARTITIONS,
  MAX_PARTITIONS,
  missingPartitions,
  type PartitionBounds,
  PARTITIONING,
  partitioningOf,
  type PartitioningRow,
  partitionName,
  readyStretch,
  withPartitions
} from "../../domain/postgres/table/partitions.ts"
import { RANGE_END, type TableDefinition } from "../../domain/postgres/table/tableDdl.ts"
import { isDivisionByZero, type RunStatement } from "../../services/PgPool.ts"
import { Fenced, type TableLeases, TableRejected } from "../../services/TableLeases.ts"
import type { MadePartitions, TablePartitions } from "../../services/TableSink.ts"
import type { LeaseRef } from "./chunkTransactions.ts"

/** Each of them takes some ten locks until the transaction ends; PostgreSQL has some thousand by default. */
const PER_TRANSACTION = 100

/** How a table is partitioned; undefined where it is in one piece. */
export const readPartitioning = (
  run: RunStatement,
  { schema, table }: { readonly schema: string; readonly table: string }
): Effect.Effect<FoundPartitioning | undefined, SqlError.SqlError> =>
  Effect.map(
    run<PartitioningRow>(PARTITIONING, [schema, table]),
    ([row]) => row === undefined ? undefined : partitioningOf(row)
  )

/** The table to make partitions of. */
export interface PartitionedTable {
  readonly definition: TableDefinition
  readonly width: bigint
  /** Followers of the write-ahead log need all columns of deleted rows. */
  readonly isPublished: boolean
}

/**
 * The partitions that rows at `first` to `last` need and that are missing, at most `limit` of them. Fails where there would be
 * too many in all, or where something else has one of their names.
 */
export const planPartitions = Effect.fnUntraced(function*(
  run: RunStatement,
  { definition, width }: PartitionedTable,
  existing: ReadonlyArray<PartitionBounds>,
  [first, last]: readonly [bigint, bigint],
  limit: number
): Effect.fn.Return<ReadonlyArray<PartitionBounds>, SqlError.SqlError | TableRejected> {
  const { schema, table } = definition
  const room = Math.max(0, MAX_PARTITIONS - existing.length)
  const all = missingPartitions(existing, first, last, width, room + 1)
  if (all.length > room) {
    const enough = (last + BigInt(MANY_PARTITIONS)) / BigInt(MANY_PARTITIONS)
    const reason =
      `with partitionBy of ${width} blocks it would have more than ${MAX_PARTITIONS} partitions for blocks ` +
      `${first} to ${last}, more than PostgreSQL can handle well, and blocks without rows count; raise "blocks" of partitionBy ` +
      `in the config: with ${enough} or more, all blocks up to ${last} need at most ${MANY_PARTITIONS}`
    return yield* new TableRejected({ table, reason })
  }
  const missing = all.slice(0, limit)
  const [taken] = yield* run<{ readonly name: string }>(
    `SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND c.relname = ANY($2) ORDER BY 1`,
    [schema, missing.map((bounds) => partitionName(table, bounds))]
  )
  if (taken === undefined) return missing
  const reason =
    `rows need a partition with the name "${taken.name}", and another relation in schema "${schema}" has it; ` +
    "a partition that was detached keeps its name: rename it, move it to another schema, or drop it"
  return yield* new TableRejected({ table, reason })
})

/** Makes the `TablePartitions` of one writer. `lease` is the current one. */
export const makeTablePartitions = (
  leases: TableLeases["Service"],
  run: RunStatement,
  partitioned: PartitionedTable,
  lease: LeaseRef
): TablePartitions => {
  const { definition, isPublished } = partitioned
  const { positionColumn, schema, table } = definition
  let existing: ReadonlyArray<PartitionBounds> = []
  let ready = readyStretch(existing, 0n)

  const positionsOf = ({ end, start }: BlockRange) => [positionColumn === RANGE_END ? end : start, end] as const

  const read = Effect.map(readPartitioning(run, definition), (found) => {
    existing = found?.bounds ?? []
  })

  // Not a fence: the number of the next commit belongs to the chunk that follows.
  const holdLease = Effect.suspend(() =>
    run(
      `SELECT 1 / count(*) FROM (SELECT FROM ${quoteIdentifier(schema)}._ampsync_checkpoints
         WHERE ${isHeld(leases.writer, lease.current, lease.current.commitSeq)} FOR UPDATE) AS held`
    )
  ).pipe(Effect.mapError((error) => isDivisionByZero(error) ? new Fenced({ table }) : error))

  /** Makes those that rows at these positions need, as many as one transaction may. */
  const makeSome = Effect.fnUntraced(function*(positions: readonly [bigint, bigint]) {
    const missing = yield* planPartitions(run, partitioned, existing, positions, PER_TRANSACTION)
    if (missing.length === 0) return missing
    yield* leases.transaction(
      table,
      Effect.andThen(
        holdLease,
        Effect.forEach(missing, (bounds) => run(createPartition(definition, bounds, isPublished).join("; ")), {
          discard: true
        })
      )
    )
    existing = withPartitions(existing, missing)
    return missing
  })

  const make = Effect.fn("TablePartitions.make")(function*(range: BlockRange) {
    const positions = positionsOf(range)
    yield* read
    const made: Array<PartitionBounds> = []
    for (;;) {
      const some = yield* makeSome(positions)
      made.push(...some)
      if (some.length < PER_TRANSACTION) break
    }
    ready = readyStretch(existing, positions[0])
    let aheadFailure: string | undefined
    if (!isReady(range)) {
      // What rows do not need yet must not keep them from being written.
      const ahead = yield* Effect.result(makeSome([ready!.to, ready!.to]))
      if (ahead._tag === "Success") made.push(...ahead.success)
      else aheadFailure = ahead.failure.message
      ready = readyStretch(existing, positions[0])
    }
    return { made, total: existing.length, lastBlock: ready!.to - 1n, aheadFailure } satisfies MadePartitions
  })

  const isReady = (range: BlockRange): boolean => {
    const [first, last] = positionsOf(range)
    return ready !== undefined && ready.from <= first && last < ready.aheadFrom
  }

  const covers = (range: BlockRange): boolean => {
    const [first, last] = positionsOf(range)
    return ready !== undefined && ready.from <= first && last < ready.to
  }

  return { table, isReady, covers, make }
}
