/**
 * Indexes of partitioned tables: concurrently on one partition after the other, each attached to the index of the table.
 *
 * Source: PostgreSQL, doc "CREATE INDEX", "Building Indexes Concurrently", and "Table Partitioning".
 */
import { Effect, Option } from "effect"
import type { SqlError } from "effect/sql"
import { PARTITIONING } from "../../domain/postgres/table/partitions.ts"
import { qualifiedName } from "../../domain/postgres/table/tableDdl.ts"
import {
  attachIndex,
  createIndex,
  createPartitionedIndex,
  dropIndex,
  dropIndexNow,
  findFullIndex,
  type IndexDetails,
  indexName
} from "../../domain/postgres/table/tableIndexes.ts"
import { indexRowTooLarge, type RunStatement } from "../../services/PgPool.ts"
import type { FullIndex, IndexEvent } from "../../services/TableIndexes.ts"
import { briefly } from "./briefly.ts"

type Table = { readonly schema: string; readonly table: string }

export const isPartitioned = (run: RunStatement, { schema, table }: Table): Effect.Effect<boolean, SqlError.SqlError> =>
  Effect.map(run(PARTITIONING, [schema, table]), (rows) => rows.length > 0)

/** Partitions that have no index attached to the one of the table, with the index that a build left there, if any. */
const UNFINISHED = `
  SELECT n.nspname AS schema, c.relname AS table, ARRAY(
      SELECT x.relname FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
      WHERE i.indrelid = c.oid AND i.indisvalid AND i.indisready) AS valid,
    ARRAY(SELECT x.relname FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
      WHERE i.indrelid = c.oid AND NOT (i.indisvalid AND i.indisready)) AS broken
  FROM pg_inherits p JOIN pg_class c ON c.oid = p.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE p.inhparent = to_regclass($1) AND NOT EXISTS (
    SELECT FROM pg_index i JOIN pg_inherits h ON h.inhrelid = i.indexrelid
    WHERE i.indrelid = c.oid AND h.inhparent = to_regclass($2))
  ORDER BY c.oid`

interface Unfinished extends Table {
  readonly valid: ReadonlyArray<string>
  readonly broken: ReadonlyArray<string>
}

/**
 * Builds the index on every partition while rows are written, and continues what was interrupted. Partitions that are made
 * meanwhile have it from the start. Returns false where a row is too large for it; drops all of it then.
 */
export const buildOnPartitions = Effect.fnUntraced(function*(
  run: RunStatement,
  table: Table,
  name: string,
  columns: ReadonlyArray<string>,
  onEvent: (event: IndexEvent) => Effect.Effect<void>
): Effect.fn.Return<boolean, SqlError.SqlError> {
  yield* briefly(run, createPartitionedIndex(table, name, columns))
  const names = [qualifiedName(table), qualifiedName({ schema: table.schema, table: name })]
  for (const { broken, valid, ...partition } of yield* run<Unfinished>(UNFINISHED, names)) {
    const own = indexName(partition.table, columns)
    if (broken.includes(own)) {
      yield* run(dropIndex(partition, own))
      yield* onEvent({ kind: "dropped broken", name: own, columns })
    }
    if (!valid.includes(own)) {
      const isBuilt = yield* Effect.as(run(createIndex(partition, own, columns)), true).pipe(
        Effect.catchIf((error) => indexRowTooLarge(error) !== undefined, () => Effect.succeed(false))
      )
      if (!isBuilt) {
        yield* run(dropIndex(partition, own))
        yield* briefly(run, dropIndexNow(table, name))
        return false
      }
    }
    yield* briefly(run, attachIndex(table, name, { schema: partition.schema, table: own }))
  }
  return true
})

/** An index of a partition, and the index of the table that it belongs to; undefined where it is not attached to one. */
interface PartitionIndex {
  readonly partition: string
  readonly parent: string | undefined
}

/** Finds an index of one of the partitions of a table by its name. */
const findPartitionIndex = (run: RunStatement, { schema, table }: Table, name: string) =>
  Effect.map(
    run<{ readonly partition: string; readonly parent: string | null }>(
      `SELECT part.relname AS partition, up.relname AS parent
       FROM pg_class x JOIN pg_namespace n ON n.oid = x.relnamespace JOIN pg_index i ON i.indexrelid = x.oid
         JOIN pg_class part ON part.oid = i.indrelid
         JOIN pg_inherits h ON h.inhrelid = part.oid JOIN pg_class t ON t.oid = h.inhparent
         LEFT JOIN pg_inherits hx ON hx.inhrelid = x.oid LEFT JOIN pg_class up ON up.oid = hx.inhparent
       WHERE n.nspname = $1 AND t.relname = $2 AND x.relname = $3`,
      [schema, table, name]
    ),
    ([row]): PartitionIndex | undefined =>
      row === undefined ? undefined : { partition: row.partition, parent: row.parent ?? undefined }
  )

/** As `TableIndexes.dropFull`, where PostgreSQL may name the index of a partition. */
export const dropFullOfPartition = Effect.fnUntraced(function*(
  run: RunStatement,
  table: Table,
  name: string | undefined,
  drop: (table: Table, statement: string) => Effect.Effect<void, SqlError.SqlError>,
  existingOn: (table: string) => Effect.Effect<ReadonlyArray<IndexDetails>, SqlError.SqlError>
): Effect.fn.Return<Option.Option<FullIndex>, SqlError.SqlError> {
  const part = name === undefined ? undefined : yield* findPartitionIndex(run, table, name)
  if (part !== undefined && part.parent === undefined) {
    // A build that still goes on, or was interrupted: the next one begins with this partition.
    const alone = findFullIndex(part.partition, yield* existingOn(part.partition), name)
    if (alone === undefined) return Option.none()
    const { index, isManaged } = alone
    if (isManaged) yield* drop({ schema: table.schema, table: part.partition }, dropIndexNow(table, index.name))
    const ofTable = isManaged ? indexName(table.table, index.columns) : index.name
    return Option.some({ ...index, name: ofTable, isDropped: isManaged })
  }
  const found = findFullIndex(table.table, yield* existingOn(table.table), part?.parent ?? name)
  if (found === undefined) return Option.none()
  if (found.isManaged) yield* drop(table, dropIndexNow(table, found.index.name))
  return Option.some({ ...found.index, isDropped: found.isManaged })
})
