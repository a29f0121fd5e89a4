/** The data tables: created, compared and written by COPY. */
import { Effect, Layer, Option } from "effect"
import type { SqlError } from "effect/sql"
import { ownershipConflict } from "../domain/bookkeeping/ownership.ts"
import type { TableIdentity, TableOwner } from "../domain/bookkeeping/TableIdentity.ts"
import type { WriterLease } from "../domain/bookkeeping/WriterLease.ts"
import { copyColumns, makeCopyPlan } from "../domain/postgres/encode/encodeCopy.ts"
import { makeRowEncoder } from "../domain/postgres/encode/RowEncoder.ts"
import { designTable } from "../domain/postgres/table/designTable.ts"
import { quoteIdentifier } from "../domain/postgres/table/identifiers.ts"
import { createPartition } from "../domain/postgres/table/partitions.ts"
import type { TableDefinition } from "../domain/postgres/table/tableDdl.ts"
import { qualifiedName, RANGE_END, systemColumns } from "../domain/postgres/table/tableDdl.ts"
import { Checkpoints } from "../services/Checkpoints.ts"
import { DatabaseConfig } from "../services/Config.ts"
import { isLocked, PgPool } from "../services/PgPool.ts"
import { TableLeases, TableRejected } from "../services/TableLeases.ts"
import { type TableRequest, TableSink } from "../services/TableSink.ts"
import { openTransactions } from "./table-sink/chunkTransactions.ts"
import { examineTable } from "./table-sink/examineTable.ts"
import { explainFailure } from "./table-sink/explainFailure.ts"
import {
  makeTablePartitions,
  type PartitionedTable,
  planPartitions,
  readPartitioning
} from "./table-sink/partitions.ts"
import { makeRemoval } from "./table-sink/removeRows.ts"

/** A longer wait counts as an attempt without progress, and is retried. */
const LOCK_WAIT = "50s"

/** `TableSink` by binary COPY straight into the table. */
const make = Effect.gen(function*() {
  const { databaseSchema, notifyOnCommit, publication, textNul } = yield* DatabaseConfig
  const pool = yield* PgPool
  const checkpoints = yield* Checkpoints
  const leases = yield* TableLeases
  const run = <Row extends object>(statement: string, params: ReadonlyArray<unknown> = []) =>
    pool.sql.unsafe<Row>(statement, [...params])

  /** Derives the table's definition from the columns of the query. */
  const design = Effect.fnUntraced(function*(request: TableRequest) {
    const { table } = request
    const designed = yield* Effect.fromResult(designTable(databaseSchema, request)).pipe(
      Effect.mapError((reason) => new TableRejected({ table, reason }))
    )
    const { columns, position: { column: positionColumn } } = designed
    const made = [...columns, ...systemColumns(positionColumn)].map(({ name }) => name)
    return { ...designed, identity: { ...request, positionColumn, columns: made } }
  })

  const plan = Effect.fn("TableSink.plan")(function*(request: TableRequest) {
    const { definition, identity } = yield* design(request)
    const stored = Option.getOrUndefined(yield* checkpoints.load(request.table))
    const conflict = stored === undefined
      ? undefined
      : ownershipConflict(identity, { ...stored, wasFilled: stored.recorded !== undefined })
    if (conflict !== undefined) return yield* new TableRejected({ table: request.table, reason: conflict })
    const { recorded, watermark } = stored ?? {}
    const examined = yield* examineTable(run, definition, request.fingerprint, { recorded, watermark }, {
      publication,
      defersIndexes: request.defersIndexes === true
    })
    const { indexed, kind, notes, statements, table } = examined
    const startsAtFirstBlock = kind === "create" || watermark === undefined
    return { table, kind, startsAtFirstBlock, statements, indexed, notes }
  })

  const acquire = Effect.fn("TableSink.acquire")((owner: TableOwner) =>
    leases.transaction(owner.table, leases.acquire(owner)).pipe(evictsBlockers(owner.table))
  )

  /** After a lock timeout: terminates the session that holds the lock if it hangs; fails in either case. */
  const evictsBlockers = (table: string) => <A, E>(effect: Effect.Effect<A, E | SqlError.SqlError>) =>
    Effect.tapError(effect, (error) => isLocked(error) ? Effect.ignore(leases.evictStale(table)) : Effect.void)

  const prepare = Effect.fn("TableSink.prepare")(function*(lease: WriterLease, request: TableRequest) {
    const { columns, definition, identity, position } = yield* design(request)
    const defersIndexes = request.defersIndexes === true
    const taken = yield* leases.transaction(request.table, fit(definition, identity, lease, defersIndexes)).pipe(
      evictsBlockers(request.table)
    )
    const copyPlan = makeCopyPlan({ columns, position: position.position, textNul })
    const transactionPlan = {
      definition,
      copy: copyStatement(definition, copyColumns(copyPlan)),
      insertFilters: taken.insertFilters,
      open: leases.open,
      advanceStatement: checkpoints.advanceStatement,
      notifies: notifyOnCommit
    }
    const current = { current: taken.lease }
    const partitioned = partitionedTable(definition)
    return {
      encoder: makeRowEncoder(copyPlan),
      rangeMode: position.column === RANGE_END,
      checkpoint: taken.lease.checkpoint,
      commitSeq: taken.lease.commitSeq,
      rows: taken.lease.rows,
      provisionalRows: taken.lease.provisionalRows,
      notes: taken.notes,
      deferred: taken.isDeferred ? definition : undefined,
      transactions: openTransactions(pool, transactionPlan, current),
      partitions: partitioned === undefined ? undefined : makeTablePartitions(leases, run, partitioned, current),
      isCurrent: Effect.suspend(() => {
        const lease = current.current
        return Effect.map(leases.isCurrent(lease), (isCurrent) => isCurrent || current.current !== lease)
      }),
      explain: explainFailure(definition)
    }
  })

  const partitionedTable = (definition: TableDefinition): PartitionedTable | undefined => {
    const { partitionBlocks: width } = definition
    return width === undefined ? undefined : { definition, width, isPublished: publication !== undefined }
  }

  const partitionStatements: TableSink["Service"]["partitionStatements"] = Effect.fn("TableSink.partitionStatements")(
    function*(request, first, last) {
      const { definition } = yield* design(request)
      const partitioned = partitionedTable(definition)
      if (partitioned === undefined) return []
      const existing = (yield* readPartitioning(run, definition))?.bounds ?? []
      const missing = yield* planPartitions(run, partitioned, existing, [first, last], Number.POSITIVE_INFINITY)
      return missing.flatMap((bounds) => createPartition(definition, bounds, partitioned.isPublished))
    }
  )

  /** Creates the table, or checks that the existing one was created by ampsync and fits. */
  const fit = Effect.fnUntraced(function*(
    definition: TableDefinition,
    identity: TableIdentity,
    lease: WriterLease,
    defersIndexes: boolean
  ) {
    yield* checkpoints.record(lease, identity)
    const stored = { watermark: lease.checkpoint.history.at(-1), recorded: lease.recorded }
    const { insertFilters, isDeferred, notes, startsAgain, statements } = yield* examineTable(
      run,
      definition,
      identity.fingerprint,
      stored,
      { publication, defersIndexes }
    )
    yield* Effect.forEach(statements, (statement) => run(statement), { discard: true })
    const before = lease.recorded?.version
    const isOtherVersion = before !== undefined && identity.version !== undefined && before !== identity.version
    const version = `it now reads version ${identity.version}, previously ${before}`
    return {
      lease: startsAgain ? yield* checkpoints.forget(lease, 0n) : lease,
      isDeferred,
      insertFilters,
      notes: isOtherVersion ? [...notes, version] : notes
    }
  })

  const awaitUnlocked = Effect.fn("TableSink.awaitUnlocked")((table: string) =>
    leases.dedicatedTransaction(table, [
      `SET LOCAL lock_timeout TO '${LOCK_WAIT}'`,
      `LOCK TABLE ${qualifiedName({ schema: databaseSchema, table })} IN ROW EXCLUSIVE MODE`
    ])
  )

  return TableSink.of({
    acquire,
    prepare,
    plan,
    awaitUnlocked,
    partitionStatements,
    ...makeRemoval(pool, leases, checkpoints, databaseSchema)
  })
})

export const layer: Layer.Layer<TableSink, never, DatabaseConfig | Checkpoints | PgPool | TableLeases> = Layer.effect(
  TableSink,
  make
)

const copyStatement = (definition: TableDefinition, columns: ReadonlyArray<string>): string =>
  `COPY ${qualifiedName(definition)} (${columns.map(quoteIdentifier).join(", ")}) FROM STDIN (FORMAT BINARY)`
