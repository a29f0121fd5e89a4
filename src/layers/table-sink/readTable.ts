/** Reads a table's definition from the catalog. */
import { Effect } from "effect"
import type { SqlError } from "effect/sql"
import type { ExistingColumn, ExistingTable } from "../../domain/postgres/table/compareTable.ts"
import { blockRangesIndex, isWithoutKeys } from "../../domain/postgres/table/deferredIndexes.ts"
import type { FoundPartitioning } from "../../domain/postgres/table/partitions.ts"
import type { RunStatement } from "../../services/PgPool.ts"
import { INSERT_TRIGGERS } from "./insertTriggers.ts"
import { readPartitioning } from "./partitions.ts"

/** The relation with the name of a table. */
export interface FoundRelation extends ExistingTable {
  /** Plain or partitioned; views, indexes and sequences share the namespace of tables. */
  readonly isTable: boolean
  /** Its rows survive a crash of the server. */
  readonly isLogged: boolean
  /** Empty where there is none. */
  readonly comment: string
  /** Triggers, rules and policies that may keep rows from being deleted, such as `trigger "a"`. */
  readonly filters: ReadonlyArray<string>
  /** As `filters`: triggers that may keep rows from being stored. */
  readonly insertFilters: ReadonlyArray<string>
  /** Undefined for a table in one piece. */
  readonly partitioning: FoundPartitioning | undefined
}

const RELATION = `
  SELECT c.oid::text AS id, c.relkind IN ('r', 'p') AS "isTable", c.relpersistence = 'p' AS "isLogged",
    coalesce(obj_description(c.oid, 'pg_class'), '') AS comment, EXISTS (
      SELECT FROM pg_index i JOIN pg_class ic ON ic.oid = i.indexrelid WHERE i.indrelid = c.oid AND ic.relname = $3
    ) AS "hasBlockRanges"
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2`

const COLUMNS = `
  SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type, NOT (a.attnotnull OR t.typnotnull) AS nullable,
    (a.atthasdef AND a.attgenerated = '') OR a.attidentity <> '' OR t.typdefault IS NOT NULL AS "hasDefault",
    a.attgenerated <> '' AS generated
  FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
  WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`

/** Keys of all rows: an index on expressions or of a part of the rows is none. */
const KEYS = `
  SELECT i.indisprimary AS "isPrimary", to_jsonb(ARRAY(
    SELECT a.attname::text FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, place)
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
    WHERE k.place <= i.indnkeyatts ORDER BY k.place)) AS columns
  FROM pg_index i
  WHERE i.indrelid = $1::oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL`

/** Of triggers only those BEFORE ... FOR EACH ROW can. Source: PostgreSQL, catalog/pg_trigger.h, `TRIGGER_TYPE_ROW`. */
const FILTERS = `
  SELECT 'trigger' AS kind, tgname::text AS name FROM pg_trigger
  WHERE tgrelid = $1::oid AND NOT tgisinternal AND tgenabled <> 'D' AND tgtype & 11 = 11
  UNION ALL SELECT 'rule', rulename FROM pg_rewrite
  WHERE ev_class = $1::oid AND ev_type = '4' AND ev_enabled <> 'D'
  UNION ALL SELECT 'row security of', relname FROM pg_class WHERE oid = $1::oid AND row_security_active(oid)
  ORDER BY kind DESC, name`

/** Reads a relation by schema and name, independent of the search path; undefined where there is none. */
export const readTable = Effect.fnUntraced(function*(
  run: RunStatement,
  { schema, table }: { readonly schema: string; readonly table: string }
): Effect.fn.Return<FoundRelation | undefined, SqlError.SqlError> {
  type Relation = Omit<FoundRelation, keyof ExistingTable | "filters" | "insertFilters" | "partitioning"> & {
    readonly id: string
    readonly hasBlockRanges: boolean
  }
  const [relation] = yield* run<Relation>(RELATION, [schema, table, blockRangesIndex(table)])
  if (relation === undefined) return undefined
  const { hasBlockRanges, id, ...facts } = relation
  const columns = yield* run<ExistingColumn>(COLUMNS, [id])
  const keys = yield* run<{ readonly isPrimary: boolean; readonly columns: ReadonlyArray<string> }>(KEYS, [id])
  const filters = yield* run<{ readonly kind: string; readonly name: string }>(FILTERS, [id])
  const insertTriggers = yield* run<{ readonly name: string }>(INSERT_TRIGGERS, [id])
  const primaryKey = keys.find((key) => key.isPrimary)?.columns
  return {
    ...facts,
    columns,
    partitioning: yield* readPartitioning(run, { schema, table }),
    filters: filters.map(({ kind, name }) => `${kind} ${JSON.stringify(name)}`),
    insertFilters: insertTriggers.map(({ name }) => `trigger ${JSON.stringify(name)}`),
    primaryKey,
    isDeferred: isWithoutKeys({ hasBlockRanges, hasPrimaryKey: primaryKey !== undefined }),
    uniqueKeys: keys.map((key) => key.columns)
  }
})
