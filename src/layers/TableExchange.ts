/** Second tables in schemas of their own, and the transaction that puts their rows into the first ones. */
import { Effect, Layer } from "effect"
import { emptyCheckpoint } from "../domain/chain/Checkpoint.ts"
import { firstReplaced, joined } from "../domain/chain/secondTable.ts"
import { quoteIdentifier } from "../domain/postgres/table/identifiers.ts"
import { qualifiedName, RANGE_END } from "../domain/postgres/table/tableDdl.ts"
import { notification } from "../domain/sql/notification.ts"
import { Checkpoints } from "../services/Checkpoints.ts"
import { DatabaseConfig } from "../services/Config.ts"
import { PgPool, runOn } from "../services/PgPool.ts"
import { SecondTableBehind, TableExchange } from "../services/TableExchange.ts"
import { TableLeases, TableRejected } from "../services/TableLeases.ts"
import { type TableRequest, TableSink } from "../services/TableSink.ts"
import { compareTables, pairOf } from "./table-exchange/compareTables.ts"
import { otherQuery, publicationsOfAll, withoutKeys } from "./table-exchange/obstacles.ts"
import { makeExchange, requireReachedBy } from "./table-exchange/replaceRows.ts"
import { readState, secondSchema } from "./table-exchange/secondTable.ts"

/** For the lock on the table, which another session may hold. */
const LOCK_TIMEOUT = "5s"
/** For its rows: what was compared and deleted until then would be lost. */
const ROW_LOCK_TIMEOUT = "60s"

/** `TableExchange` by the hashes of rows: only the blocks that differ are touched. */
const make = Effect.gen(function*() {
  const { databaseSchema, notifyOnCommit } = yield* DatabaseConfig
  const pool = yield* PgPool
  const [checkpoints, leases, sink] = [yield* Checkpoints, yield* TableLeases, yield* TableSink]
  const run = runOn(pool.sql)
  const schemaOf = (table: string) => secondSchema(databaseSchema, table)

  const obstacles = Effect.fn("TableExchange.obstacles")(function*(request: TableRequest) {
    return [
      ...yield* publicationsOfAll(run),
      ...yield* otherQuery(run, databaseSchema, request),
      ...yield* withoutKeys(run, databaseSchema, request)
    ]
  })

  const hasSecond = Effect.fn("TableExchange.hasSecond")(function*(table: string) {
    const [row] = yield* run<{ readonly exists: boolean }>(
      "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1) AS exists",
      [schemaOf(table)]
    )
    return row!.exists
  })

  const dropStatement = (table: string) => `DROP SCHEMA IF EXISTS ${quoteIdentifier(schemaOf(table))} CASCADE`

  const dropSecond = Effect.fn("TableExchange.dropSecond")((table: string) =>
    leases.transaction(
      table,
      Effect.andThen(run(`SET LOCAL lock_timeout TO '${LOCK_TIMEOUT}'`), Effect.asVoid(run(dropStatement(table))))
    )
  )

  const requireReached: TableExchange["Service"]["requireReached"] = Effect.fn("TableExchange.requireReached")(
    function*({ checkpoint, table }) {
      const second = yield* readState(run, schemaOf(table), table)
      yield* requireReachedBy(table, checkpoint, second?.checkpoint ?? emptyCheckpoint)
    }
  )

  const compare = Effect.fn("TableExchange.compare")((table: string) =>
    leases.transaction(
      table,
      compareTables(run, databaseSchema, schemaOf(table), table),
      "ISOLATION LEVEL REPEATABLE READ"
    )
  )

  const replace: TableExchange["Service"]["replace"] = Effect.fn("TableExchange.replace")(
    (lease, request, compared) => {
      const { table } = lease
      return leases.transaction(
        table,
        Effect.gen(function*() {
          yield* run(`SET LOCAL lock_timeout TO '${LOCK_TIMEOUT}'`)
          yield* leases.fence(lease)
          // A policy that hides rows would hide them from the comparison as well: an error is better.
          yield* run("SET LOCAL row_security TO off")
          const second = yield* readState(run, schemaOf(table), table, "FOR UPDATE")
          if (second?.recorded === undefined || second.writer !== undefined) {
            const holder = second?.writer === undefined ? "is not filled yet" : `is being written by ${second.writer}`
            return yield* new SecondTableBehind({ table, reason: `the second table ${holder}` })
          }
          yield* requireReachedBy(table, lease.checkpoint, second.checkpoint)
          const { kind, statements } = yield* sink.plan(request)
          if (kind === "create") {
            return yield* new TableRejected({ table, reason: "it was dropped; the next start creates and fills it" })
          }
          for (const statement of statements) yield* run(statement)
          yield* run(`LOCK TABLE ${qualifiedName({ schema: databaseSchema, table })} IN ROW EXCLUSIVE MODE`)
          yield* run(`SET LOCAL lock_timeout TO '${ROW_LOCK_TIMEOUT}'`)
          yield* checkpoints.record(lease, { ...request, ...second.recorded, version: second.recorded.version })
          const pair = pairOf(databaseSchema, schemaOf(table), table, second.recorded)
          const makeRoom = Effect.fnUntraced(function*(first: bigint, last: bigint) {
            for (const statement of yield* sink.partitionStatements(request, first, last)) yield* run(statement)
          })
          const { added, firstPosition, removed } = yield* makeExchange(run, pool.sql, pair, makeRoom)(
            compared,
            second.rows
          )
          const before = lease.checkpoint.history.at(-1)
          const rangeMode = pair.positionColumn === RANGE_END
          const firstBlock = firstReplaced(lease.checkpoint, second.checkpoint, firstPosition, rangeMode)
          yield* checkpoints.advance(lease, {
            checkpoint: joined(lease.checkpoint, second.checkpoint, rangeMode),
            reorgs: firstBlock === undefined ? [] : [{ firstBlock, replaced: before, newHash: undefined }],
            // The count of the second table counts: that of the first one may have been wrong.
            rowsAdded: Number(second.rows - lease.rows) + removed,
            rowsRemoved: removed,
            provisionalRows: second.provisionalRows,
            blockTimestamp: second.blockTimestamp
          })
          if (notifyOnCommit && firstBlock !== undefined) {
            const range = { from: firstBlock, to: second.checkpoint.history.at(-1)?.block }
            yield* run("SELECT pg_notify('ampsync', $1)", [
              notification({ schema: databaseSchema, table, kind: "reorg", ...range, rows: added, removed })
            ])
          }
          yield* leases.release(table)
          yield* run(dropStatement(table))
          return {
            before,
            watermark: second.checkpoint.history.at(-1),
            rowsRemoved: removed,
            rowsAdded: added,
            firstBlock
          }
        })
      )
    }
  )

  return TableExchange.of({ schemaOf, obstacles, hasSecond, dropSecond, requireReached, compare, replace })
})

export const layer: Layer.Layer<TableExchange, never, Checkpoints | DatabaseConfig | PgPool | TableLeases | TableSink> =
  Layer
    .effect(TableExchange, make)
