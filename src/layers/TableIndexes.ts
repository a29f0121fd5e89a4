/** Concurrent builds of the config's indexes. */
import { type Duration, Effect, Layer, Option, Semaphore } from "effect"
import type { SqlError } from "effect/sql"
import { sameColumns } from "../domain/postgres/table/compareTable.ts"
import {
  completeDeferred,
  createDeferred,
  type DeferredIndex,
  planDeferred,
  summarizeBlockRanges
} from "../domain/postgres/table/deferredIndexes.ts"
import { columnList, qualifiedName, rowKey, type TableDefinition } from "../domain/postgres/table/tableDdl.ts"
import {
  createIndex,
  dropIndex,
  findFullIndex,
  INDEX_ROOM,
  type IndexDetails,
  type IndexPlan,
  planIndexes
} from "../domain/postgres/table/tableIndexes.ts"
import { DatabaseConfig } from "../services/Config.ts"
import { indexRowTooLarge, PgPool, runOn, type RunStatement } from "../services/PgPool.ts"
import {
  type FullIndex,
  type IndexEvent,
  type IndexLock,
  TableIndexes,
  type WantedIndexes
} from "../services/TableIndexes.ts"
import { TableLeases, TableRejected } from "../services/TableLeases.ts"
import { briefly } from "./table-indexes/briefly.ts"
import { buildOnPartitions, dropFullOfPartition, isPartitioned } from "./table-indexes/partitioned.ts"

const EXISTING = `
  SELECT c.relname AS name, i.indisvalid AND i.indisready AS "isValid",
    m.amname = 'btree' AND i.indpred IS NULL AND i.indexprs IS NULL AS "isPlain", i.indisunique AS "isUnique",
    to_jsonb(ARRAY(
      SELECT a.attname::text FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, place)
      JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
      WHERE k.place <= i.indnkeyatts ORDER BY k.place)) AS columns,
    i.indisprimary AS "isPrimaryKey", EXISTS (
      SELECT FROM pg_attribute a JOIN pg_type ty ON ty.oid = a.atttypid
      WHERE a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey) AND a.attlen = -1
        AND (a.atttypmod = -1 OR ty.typcategory = 'A')) AS "isUnbounded"
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am m ON m.oid = c.relam
    JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace n ON n.oid = t.relnamespace
  WHERE n.nspname = $1 AND t.relname = $2 ORDER BY c.relname`

/**
 * Held by the session, so that a build that outlives its process is not mistaken for the remains of an interrupted one.
 * Never awaited: a session that waits for a lock blocks every concurrent build, also the one it waits for.
 */
const LOCK = "SELECT pg_try_advisory_lock(hashtextextended($1, 0)) AS locked"
/** A pooler may keep the session for others after the connection has closed. */
const UNLOCK = "SELECT pg_advisory_unlock(hashtextextended($1, 0))"
/** For a session that a pooler ended, or that does not respond. */
const UNLOCK_TIMEOUT = "2 seconds"
/**
 * Less than `deadlock_timeout`, after which PostgreSQL ends an autovacuum that somebody waits for: each minute, so that none would
 * get through a large table. A VACUUM that is under way does what this would do.
 */
const SUMMARY_LOCK_TIMEOUT = "SET lock_timeout TO '500ms'"
/** A reader in a long transaction must not hold up the report that a key is impossible. */
const DROP_LOCK_TIMEOUT = "SET lock_timeout TO '2s'"
/** Source: PostgreSQL, doc "pg_locks": a bigint key is split into `classid` and `objid`, and `objsubid` is 1. */
const HOLDER = `
  SELECT l.pid AS "processId" FROM pg_locks l, hashtextextended($1, 0) AS key
  WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
    AND l.classid::bigint = (key >> 32) & 4294967295 AND l.objid::bigint = key & 4294967295
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())`

/** Transactions, by their server process, that builds on a table or on its partitions wait for. */
const WAITS = `
  SELECT DISTINCT p.current_locker_pid AS "processId" FROM pg_stat_progress_create_index p
  WHERE p.datname = current_database() AND p.current_locker_pid <> 0 AND (p.relid = to_regclass($1)
    OR p.relid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = to_regclass($1)))`

/** Each takes a connection of its own, `maintenance_work_mem`, and much of the disk. */
const MAX_BUILDS = 2

export interface TableIndexesOptions {
  /** Between two looks at what a build waits for. */
  readonly waitInterval?: Duration.Input
}

/** `TableIndexes` by CREATE INDEX CONCURRENTLY on a connection outside of the pool. */
const make = Effect.fnUntraced(function*({ waitInterval = "10 seconds" }: TableIndexesOptions) {
  const { databaseSchema: schema, publication } = yield* DatabaseConfig
  const pool = yield* PgPool
  const leases = yield* TableLeases
  const builds = yield* Semaphore.make(MAX_BUILDS)

  const existingOn = (run: RunStatement, table: string) => run<IndexDetails>(EXISTING, [schema, table])

  const planOn = (run: RunStatement, table: string, wanted: WantedIndexes): Effect.Effect<IndexPlan, IndexFailure> =>
    Effect.map(existingOn(run, table), (existing) => planIndexes(table, wanted, existing))

  const plan = Effect.fn("TableIndexes.plan")((table: string, wanted: WantedIndexes) =>
    planOn(runOn(pool.sql), table, wanted)
  )

  /** Reports the transactions that a build on `table` waits for. Never ends. */
  const watchWaits = Effect.fnUntraced(function*(
    table: string,
    onEvent: (event: IndexEvent) => Effect.Effect<void>
  ): Effect.fn.Return<never> {
    const reported = new Set<number>()
    const read = runOn(pool.sql)<{ processId: number }>(WAITS, [qualifiedName({ schema, table })])
    for (;;) {
      yield* Effect.sleep(waitInterval)
      // Nobody depends on it.
      for (const { processId } of yield* Effect.orElseSucceed(read, () => [])) {
        if (reported.has(processId)) continue
        reported.add(processId)
        yield* onEvent({ kind: "waiting", processId })
      }
    }
  })

  /**
   * Runs `work` on a connection that holds the lock of the table's builds, as soon as few others are at work; returns the lock
   * where another session has it.
   */
  const locked = <E>(
    table: string,
    onEvent: (event: IndexEvent) => Effect.Effect<void>,
    work: (run: RunStatement) => Effect.Effect<void, E>
  ): Effect.Effect<Option.Option<IndexLock>, E | IndexFailure> =>
    // On a session like those of the table's transactions, so that an ALTER that a build blocks can terminate it.
    builds.withPermits(1)(leases.withDedicatedConnection(table, (run) => {
      const lock = `ampsync indexes ${JSON.stringify([schema, table])}`
      return Effect.acquireUseRelease(
        Effect.interruptible(Effect.map(run<{ locked: boolean }>(LOCK, [lock]), ([row]) => row?.locked === true)),
        (isLocked): Effect.Effect<Option.Option<IndexLock>, E | IndexFailure> =>
          isLocked
            ? Effect.as(Effect.raceFirst(work(run), watchWaits(table, onEvent)), Option.none())
            : holderOf(run, lock),
        (isLocked) => isLocked ? unlock(run, lock) : Effect.void
      )
    }))

  const build = Effect.fn("TableIndexes.build")(
    (table: string, wanted: WantedIndexes, onEvent: (event: IndexEvent) => Effect.Effect<void>) =>
      locked(table, onEvent, (run) => buildAll(run, table, wanted, onEvent))
  )

  const buildDeferred = Effect.fn("TableIndexes.buildDeferred")(
    (definition: TableDefinition, onEvent: (event: IndexEvent) => Effect.Effect<void>) =>
      locked(definition.table, onEvent, (run) => buildKeys(run, definition, onEvent))
  )

  const buildKeys = Effect.fnUntraced(function*(
    run: RunStatement,
    definition: TableDefinition,
    onEvent: (event: IndexEvent) => Effect.Effect<void>
  ) {
    const plan = planDeferred(definition, yield* existingOn(run, definition.table))
    if (plan === undefined) return
    for (const name of plan.broken) yield* dropBroken(run, definition.table, name, onEvent)
    for (const index of plan.missing) {
      yield* onEvent({ ...index, kind: "building" })
      yield* Effect.catch(run(createDeferred(definition, index)), (error) => {
        const impossible = impossibleKey(definition, index, error)
        // What is left may reject rows that the next config allows, long before its build begins.
        const drop = Effect.andThen(run(DROP_LOCK_TIMEOUT), dropBroken(run, definition.table, index.name, onEvent))
        return Effect.andThen(
          impossible === undefined ? Effect.void : Effect.ignore(drop),
          Effect.fail(impossible ?? error)
        )
      })
      yield* onEvent({ ...index, kind: "built" })
    }
    yield* briefly(run, ...completeDeferred(definition, publication !== undefined))
  })

  const summarize = Effect.fn("TableIndexes.summarize")((table: string) =>
    leases.withDedicatedConnection(
      table,
      (run) => Effect.andThen(run(SUMMARY_LOCK_TIMEOUT), Effect.asVoid(run(...summarizeBlockRanges({ schema, table }))))
    )
  )

  const buildAll = Effect.fnUntraced(function*(
    run: RunStatement,
    table: string,
    wanted: WantedIndexes,
    onEvent: (event: IndexEvent) => Effect.Effect<void>
  ) {
    const { broken, missing } = yield* planOn(run, table, wanted)
    const inParts = yield* isPartitioned(run, { schema, table })
    // The index of a partitioned table is not valid until its last partition has it: the build of it goes on.
    for (const name of inParts ? [] : broken) yield* dropBroken(run, table, name, onEvent)
    for (const { columns, name } of missing) {
      yield* onEvent({ kind: "building", name, columns })
      const isBuilt = inParts
        ? yield* buildOnPartitions(run, { schema, table }, name, columns, onEvent)
        : yield* buildOn(run, table, name, columns)
      yield* onEvent({ kind: isBuilt ? "built" : "left out", name, columns })
    }
  })

  const dropBroken = Effect.fnUntraced(function*(
    run: RunStatement,
    table: string,
    name: string,
    onEvent: (event: IndexEvent) => Effect.Effect<void>
  ) {
    yield* run(dropIndex({ schema, table }, name))
    yield* onEvent({ kind: "dropped broken", name, columns: [] })
  })

  /** Returns false where a row is too large for it; drops the invalid index then, which would only slow writes. */
  const buildOn = Effect.fnUntraced(function*(
    run: RunStatement,
    table: string,
    name: string,
    columns: ReadonlyArray<string>
  ) {
    return yield* Effect.as(run(createIndex({ schema, table }, name, columns)), true).pipe(
      Effect.catchIf(
        (error) => indexRowTooLarge(error) !== undefined,
        () => Effect.as(run(dropIndex({ schema, table }, name)), false)
      )
    )
  })

  const dropFull = Effect.fn("TableIndexes.dropFull")((table: string, name: string | undefined) =>
    leases.withDedicatedConnection(table, (run) =>
      Effect.gen(function*() {
        if (yield* isPartitioned(run, { schema, table })) {
          return yield* dropFullOfPartition(run, { schema, table }, name, (of) => existingOn(run, of))
        }
        const found = findFullIndex(table, yield* existingOn(run, table), name)
        if (found === undefined) return Option.none<FullIndex>()
        const { index, isManaged } = found
        if (isManaged) yield* run(dropIndex({ schema, table }, index.name))
        return Option.some<FullIndex>({ ...index, isDropped: isManaged })
      }))
  )

  return TableIndexes.of({ plan, build, buildDeferred, summarize, dropFull })
})

/** No retry changes that a key cannot be built from the rows that are there. */
const impossibleKey = (
  { positionColumn, table }: TableDefinition,
  { columns, kind }: DeferredIndex,
  error: SqlError.SqlError
): TableRejected | undefined => {
  const key = `${kind === "primary key" ? "its primary key" : "its key"} ${columnList(columns)}`
  if (error.reason._tag === "UniqueViolation") {
    const remedy = sameColumns(columns, rowKey(positionColumn))
      ? "Ampsync numbers the rows, so somebody else has added or changed some: fill the table again with resync"
      : "name columns in \"primaryKey\" of the config that no two rows share"
    return new TableRejected({
      table,
      reason: `${key} cannot be built, because rows have the same values in it; ${remedy}`
    })
  }
  if (indexRowTooLarge(error) === undefined) return undefined
  return new TableRejected({
    table,
    reason: `${key} cannot be built, because rows have values in it that are too large (${INDEX_ROOM}); name shorter ` +
      "columns in \"primaryKey\" of the config"
  })
}

const holderOf = (run: RunStatement, lock: string): Effect.Effect<Option.Option<IndexLock>, IndexFailure> =>
  Effect.map(
    run<{ processId: number }>(HOLDER, [lock]),
    ([row]) => Option.some({ name: lock, processId: row?.processId })
  )

const unlock = (run: RunStatement, lock: string): Effect.Effect<void> =>
  run(UNLOCK, [lock]).pipe(
    // In a finalizer: without this the time limit could not end the wait.
    Effect.interruptible,
    Effect.timeoutOption(UNLOCK_TIMEOUT),
    Effect.ignore
  )

type IndexFailure = Effect.Error<ReturnType<RunStatement>>

export const layerWith = (
  options: TableIndexesOptions
): Layer.Layer<TableIndexes, never, DatabaseConfig | PgPool | TableLeases> => Layer.effect(TableIndexes, make(options))

export const layer: Layer.Layer<TableIndexes, never, DatabaseConfig | PgPool | TableLeases> = layerWith({})
