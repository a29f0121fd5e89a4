/** Builds of the config's indexes, concurrently, and of keys that a table was created without. */
import { type Duration, Effect, Layer, Option, Semaphore } from "effect"
import { blockRangesIndex, isWithoutKeys, summarizeBlockRanges } from "../domain/postgres/table/deferredIndexes.ts"
import type { TableDefinition } from "../domain/postgres/table/tableDdl.ts"
import {
  createIndex,
  dropIndex,
  dropIndexNow,
  findFullIndex,
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
  type WantedIndexes,
  type WhileAtRest
} from "../services/TableIndexes.ts"
import { TableLeases } from "../services/TableLeases.ts"
import { brieflyAlone } from "./table-indexes/briefly.ts"
import { buildKeys, dropBroken } from "./table-indexes/buildKeys.ts"
import { withBuildLock } from "./table-indexes/buildLock.ts"
import { buildOnPartitions, dropFullOfPartition, isPartitioned } from "./table-indexes/partitioned.ts"
import { watchWaits } from "./table-indexes/waits.ts"

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
 * Less than `deadlock_timeout`, after which PostgreSQL ends an autovacuum that somebody waits for: each minute, so that none would
 * get through a large table. A VACUUM that is under way does what this would do.
 */
const SUMMARY_LOCK_TIMEOUT = "SET LOCAL lock_timeout TO '500ms'"
/** Each takes a connection of its own, `maintenance_work_mem`, and much of the disk. */
const MAX_BUILDS = 2

export interface TableIndexesOptions {
  /** Between two looks at what a build waits for. */
  readonly waitInterval?: Duration.Input
}

/** `TableIndexes` on connections outside of the pool. */
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

  /**
   * Runs `work` on a connection that holds the lock of the table's builds, as soon as few others are at work; returns the lock
   * where another session has it.
   */
  const locked = <E>(
    table: string,
    onEvent: (event: IndexEvent) => Effect.Effect<void>,
    work: (run: RunStatement) => Effect.Effect<void, E>
  ): Effect.Effect<Option.Option<IndexLock>, E | IndexFailure> => {
    // On a session like those of the table's transactions, so that an ALTER that a build blocks can terminate it.
    const building = leases.withDedicatedConnection(table, (run) => {
      const waits = watchWaits(runOn(pool.sql), { schema, table }, waitInterval, onEvent)
      return withBuildLock(run, { schema, table }, Effect.raceFirst(work(run), waits))
    })
    return Effect.flatMap(
      builds.withPermitsIfAvailable(1)(building),
      Option.match({
        onNone: () => Effect.andThen(onEvent({ kind: "queued" }), builds.withPermit(building)),
        onSome: Effect.succeed
      })
    )
  }

  const build = Effect.fn("TableIndexes.build")(
    (table: string, wanted: WantedIndexes, onEvent: (event: IndexEvent) => Effect.Effect<void>) =>
      locked(table, onEvent, (run) => buildAll(run, table, wanted, onEvent))
  )

  const buildDeferred = Effect.fn("TableIndexes.buildDeferred")(
    (
      definition: TableDefinition,
      whileAtRest: WhileAtRest,
      onEvent: (event: IndexEvent) => Effect.Effect<void>
    ) =>
      locked(
        definition.table,
        onEvent,
        (run) =>
          Effect.flatMap(
            existingOn(run, definition.table),
            (existing) =>
              buildKeys(run, { definition, existing, isPublished: publication !== undefined, whileAtRest, onEvent })
          )
      )
  )

  const lacksKeys = Effect.fn("TableIndexes.lacksKeys")((table: string) =>
    Effect.map(
      existingOn(runOn(pool.sql), table),
      (existing) =>
        isWithoutKeys({
          hasBlockRanges: existing.some(({ name }) => name === blockRangesIndex(table)),
          hasPrimaryKey: existing.some(({ isPrimaryKey }) => isPrimaryKey)
        })
    )
  )

  const summarize = Effect.fn("TableIndexes.summarize")((table: string) =>
    leases.dedicatedTransaction(table, [SUMMARY_LOCK_TIMEOUT, summarizeBlockRanges({ schema, table })])
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
    for (const name of inParts ? [] : broken) yield* dropBroken(run, { schema, table }, name, onEvent)
    for (const { columns, name } of missing) {
      yield* onEvent({ kind: "building", name, columns })
      const isBuilt = inParts
        ? yield* buildOnPartitions(run, { schema, table }, name, columns, onEvent)
        : yield* buildOn(run, table, name, columns)
      yield* onEvent({ kind: isBuilt ? "built" : "left out", name, columns })
    }
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

  const dropFull: TableIndexes["Service"]["dropFull"] = Effect.fn("TableIndexes.dropFull")((table, name, onEvent) =>
    leases.withDedicatedConnection(table, (run) =>
      Effect.gen(function*() {
        const drop = brieflyAlone(run, leases.evictStale(table), onEvent)
        if (yield* isPartitioned(run, { schema, table })) {
          return yield* dropFullOfPartition(run, { schema, table }, name, drop, (of) => existingOn(run, of))
        }
        const found = findFullIndex(table, yield* existingOn(run, table), name)
        if (found === undefined) return Option.none<FullIndex>()
        const { index, isManaged } = found
        if (isManaged) yield* drop({ schema, table }, dropIndexNow({ schema, table }, index.name))
        return Option.some<FullIndex>({ ...index, isDropped: isManaged })
      }))
  )

  return TableIndexes.of({ plan, build, buildDeferred, lacksKeys, summarize, dropFull })
})

type IndexFailure = Effect.Error<ReturnType<RunStatement>>

export const layerWith = (
  options: TableIndexesOptions
): Layer.Layer<TableIndexes, never, DatabaseConfig | PgPool | TableLeases> => Layer.effect(TableIndexes, make(options))

export const layer: Layer.Layer<TableIndexes, never, DatabaseConfig | PgPool | TableLeases> = layerWith({})
