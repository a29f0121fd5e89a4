/**
 * The settings of a table in the config besides its query; the tools of the servers ignore them.
 *
 * Whether they fit the query is checked later, when the server has described the query.
 */
import { Schema } from "effect"
import { identifierProblem } from "../postgres/table/identifiers.ts"
import { type ColumnOverride, overrideSyntax, parseOverrideType } from "../postgres/types/columnOverride.ts"
import { positionNames } from "../postgres/types/PgType.ts"

/** The optional settings of one table. */
export interface TableSettings {
  /** Sorted by column. */
  readonly columns: ReadonlyArray<ColumnOverride>
  /** The columns of the primary key; undefined for the default, the position and `_row_index`. */
  readonly primaryKey: ReadonlyArray<string> | undefined
  /** The columns of each index. */
  readonly indexes: ReadonlyArray<ReadonlyArray<string>>
  /** Undefined keeps the present comment; an empty one removes it. */
  readonly comment: string | undefined
  /** Blocks on top of a range before its rows are written; undefined for the setting `CONFIRMATIONS`. */
  readonly confirmations: number | undefined
  /** The table is partitioned by ranges of so many blocks; undefined for a table in one piece. */
  readonly partitionBy: { readonly blocks: number } | undefined
}

export const noSettings: TableSettings = {
  columns: [],
  primaryKey: undefined,
  indexes: [],
  comment: undefined,
  confirmations: undefined,
  partitionBy: undefined
}

/** Days of a chain with a block per second. */
export const MAX_CONFIRMATIONS = 100_000

const expecting = <A>(test: (value: A) => boolean, expected: string) =>
  Schema.makeFilter((value: A) => test(value) || `expected ${expected}`)

const OverrideText = Schema.String.check(
  expecting((text) => parseOverrideType(text) !== undefined, overrideSyntax)
)
const ColumnName = Schema.String.check(
  expecting((name) => identifierProblem(name) === undefined, "the name of a column")
)
const KeyColumns = Schema.Array(ColumnName).check(
  expecting((columns) => columns.length > 0, "at least one column"),
  // Source: PostgreSQL, INDEX_MAX_KEYS.
  expecting((columns) => columns.length <= 32, "at most 32 columns"),
  expecting((columns) => new Set(columns).size === columns.length, "each column once")
)
const Overrides = Schema.Record(Schema.String, Schema.Struct({ type: OverrideText })).check(
  expecting(
    (columns) => positionNames.every((name) => !Object.hasOwn(columns, name)),
    `no type for ${positionNames.join(" and ")}: block numbers are always bigint`
  )
)
const Comment = Schema.String.check(expecting((text) => !text.includes("\0"), "a text without NUL characters"))
const Confirmations = Schema.Number.check(
  expecting(
    (blocks) => Number.isInteger(blocks) && blocks >= 0 && blocks <= MAX_CONFIRMATIONS,
    `a whole number of blocks from 0 to ${MAX_CONFIRMATIONS}`
  )
)
const PartitionBy = Schema.Struct({
  blocks: Schema.Number.check(
    expecting(
      (blocks) => Number.isSafeInteger(blocks) && blocks > 0,
      `a whole number of blocks from 1 to ${Number.MAX_SAFE_INTEGER}`
    )
  )
})
/** Not of the struct: it is the union with undefined that a value of another kind fails. */
const OptionalPartitionBy = Schema.optionalKey(
  Schema.UndefinedOr(PartitionBy).annotate({
    expected: "an object with the blocks of a partition, such as { blocks: 1000000 }"
  })
)

/** The schema of these settings, as keys of one entry of `tables`. */
export const settingsFields = {
  columns: Schema.optional(Overrides),
  primaryKey: Schema.optional(KeyColumns),
  indexes: Schema.optional(Schema.Array(KeyColumns)),
  comment: Schema.optional(Comment),
  confirmations: Schema.optional(Confirmations),
  partitionBy: OptionalPartitionBy
}

const SettingsEntry = Schema.Struct(settingsFields)

/** The settings of a decoded entry; absent keys become their defaults. */
export const settingsOf = (
  { columns = {}, comment, confirmations, indexes = [], partitionBy, primaryKey }: typeof SettingsEntry.Type
): TableSettings => ({
  columns: Object.entries(columns)
    .map(([column, { type }]) => ({ column, type: parseOverrideType(type)! }))
    .toSorted((a, b) => a.column < b.column ? -1 : 1),
  primaryKey,
  indexes,
  comment,
  confirmations,
  partitionBy
})
