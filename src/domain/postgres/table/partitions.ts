/**
 * Partitions by ranges of positions: which ones rows need, their names and statements.
 *
 * Source: PostgreSQL, doc "Table Partitioning".
 */
import { fingerprint } from "../../fingerprint.ts"
import type { TableSettings } from "../../manifest/TableSettings.ts"
import { MAX_IDENTIFIER_BYTES } from "./identifiers.ts"
import { columnList, qualifiedName, type TableDefinition } from "./tableDdl.ts"
import { cut } from "./tableIndexes.ts"

/** Positions from `from` on and below `to`. */
export interface PartitionBounds {
  readonly from: bigint
  readonly to: bigint
}

/** How a table is partitioned, according to the catalog. */
export interface FoundPartitioning {
  /** By ranges of this one column; undefined for any other way. */
  readonly rangeColumn: string | undefined
  /** It has a DEFAULT partition. */
  readonly hasDefault: boolean
  /** Ascending. */
  readonly bounds: ReadonlyArray<PartitionBounds>
}

/** The smallest position that a bigint holds, and the bound above the largest one. */
const [LOWEST, ABOVE_ALL] = [-(2n ** 63n), 2n ** 63n]

/** With more of them, statements that read all of a table need more locks than PostgreSQL has by default. */
export const MANY_PARTITIONS = 1_000
export const MAX_PARTITIONS = 10_000

/** Why a table with these settings cannot be partitioned; none where it can be, or is not to be. */
export const partitionProblems = (
  positionColumn: string,
  { partitionBy, primaryKey }: Pick<TableSettings, "partitionBy" | "primaryKey">
): ReadonlyArray<string> =>
  partitionBy === undefined || primaryKey === undefined || primaryKey.includes(positionColumn)
    ? []
    : [
      `primaryKey ${
        columnList(primaryKey)
      } lacks column "${positionColumn}": with partitionBy PostgreSQL needs the position ` +
      "of a row in every unique key. Add it to primaryKey, or remove partitionBy"
    ]

/** Why the table that exists is not partitioned as the config asks; undefined where it is. */
export const partitioningConflict = (
  { partitionBlocks, positionColumn }: Pick<TableDefinition, "partitionBlocks" | "positionColumn">,
  found: FoundPartitioning | undefined
): string | undefined => {
  if (partitionBlocks === undefined) return undefined
  if (found === undefined) {
    return "the config has partitionBy, and it is in one piece; ampsync does not change that. Remove partitionBy from the config"
  }
  if (found.rangeColumn !== positionColumn) {
    return `the config has partitionBy, and it is partitioned by something else than ranges of "${positionColumn}"; remove ` +
      "partitionBy from the config"
  }
  return found.hasDefault
    ? "it has a DEFAULT partition, which would be locked and read for every partition that is added; detach it, or remove " +
      "partitionBy from the config"
    : undefined
}

/** What is to be known of a table whose partitions are left to others; undefined where rows find one without them. */
export const partitioningNote = (
  { partitionBlocks, positionColumn }: Pick<TableDefinition, "partitionBlocks" | "positionColumn">,
  found: FoundPartitioning | undefined
): string | undefined =>
  partitionBlocks !== undefined || found?.rangeColumn !== positionColumn || found.hasDefault
    ? undefined
    : `it is partitioned by ranges of "${positionColumn}" and the config has no partitionBy, so ampsync makes none of its ` +
      "partitions: where rows find none, the table is parked. Make them ahead of the rows, or add partitionBy to the config"

/**
 * The partitions that rows at `first` to `last` need and that are missing, ascending; at most `limit` of them.
 *
 * They begin and end at multiples of `width`, or where one of `existing`, which are in ascending order, is in the way: after
 * a change of the width too they neither overlap nor leave a position out.
 */
export const missingPartitions = (
  existing: ReadonlyArray<PartitionBounds>,
  first: bigint,
  last: bigint,
  width: bigint,
  limit: number
): ReadonlyArray<PartitionBounds> => {
  const missing: Array<PartitionBounds> = []
  let index = existing.findIndex(({ to }) => to > first)
  if (index < 0) index = existing.length
  let [at, below] = [first, existing[index - 1]?.to ?? LOWEST]
  while (at <= last && missing.length < limit) {
    const next = existing[index]
    if (next !== undefined && next.from <= at) {
      at = below = next.to
      index += 1
      continue
    }
    const start = alignedDown(at, width)
    const to = minOf(start + width, next?.from ?? ABOVE_ALL)
    missing.push({ from: maxOf(start, below), to })
    at = below = to
  }
  return missing
}

/** Partitions without a gap between them: positions from `from` on and below `to`. */
export interface Stretch extends PartitionBounds {
  /** Where the last of them begins: below it, the partition behind that of a position is there already. */
  readonly aheadFrom: bigint
}

/** The stretch of partitions that holds `position`; undefined where none of them does. */
export const readyStretch = (existing: ReadonlyArray<PartitionBounds>, position: bigint): Stretch | undefined => {
  let stretch: Stretch | undefined
  for (const { from, to } of existing) {
    if (from > position && stretch?.to !== from) break
    // Behind the last possible position nothing can be missing.
    const aheadFrom = to === ABOVE_ALL ? to : from
    stretch = { from: stretch?.to === from ? stretch.from : from, to, aheadFrom }
  }
  return stretch !== undefined && stretch.from <= position && position < stretch.to ? stretch : undefined
}

/** `existing` and `more`, ascending. */
export const withPartitions = (
  existing: ReadonlyArray<PartitionBounds>,
  more: ReadonlyArray<PartitionBounds>
): ReadonlyArray<PartitionBounds> => [...existing, ...more].toSorted((a, b) => a.from < b.from ? -1 : 1)

/** Block numbers begin at 0; rounds towards it. */
const alignedDown = (position: bigint, width: bigint): bigint => position / width * width
const minOf = (a: bigint, b: bigint): bigint => a < b ? a : b
const maxOf = (a: bigint, b: bigint): bigint => a > b ? a : b

/**
 * The name of a partition.
 *
 * Shape: `<table>_<from>_<to>`, and `<beginning of table>_<8 hexadecimal digits>_<from>_<to>` where that has more than 63 bytes.
 */
export const partitionName = (table: string, { from, to }: PartitionBounds): string => {
  const suffix = `_${from}_${to}`
  const name = table + suffix
  if (new TextEncoder().encode(name).length <= MAX_IDENTIFIER_BYTES) return name
  const end = `_${fingerprint(table).slice(-8)}${suffix}`
  return cut(table, MAX_IDENTIFIER_BYTES - end.length) + end
}

type Table = { readonly schema: string; readonly table: string }

/**
 * Statements, for one transaction, that make a partition while the table is read and written.
 *
 * `CREATE TABLE ... PARTITION OF` would lock it. The copy has all that the table has, so its indexes are matched and not built
 * when it is attached. An identity column must not be copied: values come from that of the table.
 */
export const createPartition = (table: Table, bounds: PartitionBounds, isPublished: boolean): ReadonlyArray<string> => {
  const [parent, name] = [
    qualifiedName(table),
    qualifiedName({ schema: table.schema, table: partitionName(table.table, bounds) })
  ]
  return [
    `CREATE TABLE ${name} (LIKE ${parent} INCLUDING ALL EXCLUDING IDENTITY)`,
    // Not inherited, and not copied.
    ...(isPublished ? [`ALTER TABLE ${name} REPLICA IDENTITY FULL`] : []),
    `ALTER TABLE ${parent} ATTACH PARTITION ${name} FOR VALUES FROM (${bounds.from}) TO (${upperBound(bounds.to)})`
  ]
}

const upperBound = (to: bigint): string => to >= ABOVE_ALL ? "MAXVALUE" : String(to)

/** Parses what `pg_get_expr` prints of `relpartbound`; undefined for a DEFAULT partition and one that is not by a range of numbers. */
export const parseBounds = (text: string): PartitionBounds | undefined => {
  const [, from, to] = /^FOR VALUES FROM \('?(-?\d+|MINVALUE)'?\) TO \('?(-?\d+|MAXVALUE)'?\)$/.exec(text) ?? []
  if (from === undefined || to === undefined) return undefined
  return {
    from: from === "MINVALUE" ? LOWEST : BigInt(from),
    to: to === "MAXVALUE" ? ABOVE_ALL : BigInt(to)
  }
}

/**
 * Reads a row with `rangeColumn`, `hasDefault` and `bounds` as texts; parameters: schema and table. No row for a table in one
 * piece. A partition that is about to be detached takes no more rows.
 */
export const PARTITIONING = `
  SELECT (SELECT a.attname FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = p.partattrs[0] AND p.partstrat = 'r'
      AND p.partnatts = 1) AS "rangeColumn",
    p.partdefid <> 0 AS "hasDefault",
    to_jsonb(ARRAY(
      SELECT pg_get_expr(part.relpartbound, part.oid) FROM pg_inherits i JOIN pg_class part ON part.oid = i.inhrelid
      WHERE i.inhparent = c.oid AND to_jsonb(i) ->> 'inhdetachpending' IS DISTINCT FROM 'true')) AS bounds
  FROM pg_partitioned_table p JOIN pg_class c ON c.oid = p.partrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $1 AND c.relname = $2`

/** A row that `PARTITIONING` returns. */
export interface PartitioningRow extends Omit<FoundPartitioning, "bounds"> {
  readonly bounds: ReadonlyArray<string>
}

export const partitioningOf = ({ bounds, ...facts }: PartitioningRow): FoundPartitioning => ({
  ...facts,
  bounds: withPartitions([], bounds.flatMap((text) => parseBounds(text) ?? []))
})
