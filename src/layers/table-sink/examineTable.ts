/** Compares a table with its query. */
import { Effect } from "effect"
import type { SqlError } from "effect/sql"
import { compareTable } from "../../domain/postgres/table/compareTable.ts"
import { statementsWithoutKeys } from "../../domain/postgres/table/deferredIndexes.ts"
import { partitioningConflict, partitioningNote } from "../../domain/postgres/table/partitions.ts"
import type { TableDefinition } from "../../domain/postgres/table/tableDdl.ts"
import {
  alterTable,
  commentOn,
  createTable,
  createTableWithoutKeys,
  indexesOf,
  qualifiedName
} from "../../domain/postgres/table/tableDdl.ts"
import type { StoredCheckpoint } from "../../services/Checkpoints.ts"
import type { RunStatement } from "../../services/PgPool.ts"
import { TableRejected } from "../../services/TableLeases.ts"
import { MAY_KEEP_ROWS, type TablePlan } from "../../services/TableSink.ts"
import { examinePublication } from "./examinePublication.ts"
import { toFillAgain } from "./fillAgain.ts"
import { readTable } from "./readTable.ts"

/** The plan of a table, and whether its checkpoint is still valid. */
export interface Examined extends Omit<TablePlan, "startsAtFirstBlock"> {
  /** The data table is missing: its checkpoint is no longer valid. */
  readonly startsAgain: boolean
  /** It has no keys yet: they are built once it has caught up. */
  readonly isDeferred: boolean
  /** Triggers that may keep rows from being stored, such as `trigger "a"`. */
  readonly insertFilters: ReadonlyArray<string>
}

const DEFERRED =
  "its primary key and its indexes are built once it has caught up, so that its rows come in faster (DEFER_INDEXES)"

const FOLLOWED =
  "followers of the write-ahead log that identify rows by the primary key, as ElectricSQL does, must read the table again once " +
  "it has one"

/** What is noted of a table without keys. */
const deferralNotes = (publication: string | undefined): ReadonlyArray<string> =>
  publication === undefined ? [DEFERRED] : [DEFERRED, FOLLOWED]

const HAS_LZ4 = "SELECT 'lz4' = ANY(enumvals) AS lz4 FROM pg_settings WHERE name = 'default_toast_compression'"

const dropIt = (definition: TableDefinition): string =>
  `run DROP TABLE ${qualifiedName(definition)}, and it is created and filled again from the first block`

/** Plans the statements after which a table fits its query; fails where there are none. Changes nothing. */
export const examineTable = Effect.fnUntraced(function*(
  run: RunStatement,
  definition: TableDefinition,
  fingerprint: string,
  { recorded, watermark }: Pick<StoredCheckpoint, "recorded" | "watermark">,
  { publication, ...settings }: { readonly publication: string | undefined; readonly defersIndexes: boolean }
): Effect.fn.Return<Examined, SqlError.SqlError | TableRejected> {
  const { columns, comment, positionColumn, table } = definition
  const reject = (reason: string) => new TableRejected({ table, reason })
  const hasLz4 = run<{ lz4: boolean }>(HAS_LZ4).pipe(Effect.map(([row]) => row?.lz4 === true))
  const found = yield* readTable(run, definition)
  if (found === undefined) {
    const published = yield* examinePublication(run, definition, publication, true)
    const lz4 = yield* hasLz4
    // The indexes of a partition are small, and each partition would need a build of its own.
    const defersIndexes = settings.defersIndexes && definition.partitionBlocks === undefined
    const created = defersIndexes
      ? [...createTableWithoutKeys(definition, lz4), ...statementsWithoutKeys(definition)]
      : createTable(definition, lz4)
    const statements = [...created, ...published.statements]
    const notes = recorded === undefined
      ? [`created with columns ${columns.map((_) => _.name).join(", ")}`]
      : ["the table was missing although it had a checkpoint; it is created again and starts from the first block"]
    return {
      table,
      kind: "create",
      statements,
      indexed: indexesOf(definition),
      notes: [...notes, ...(defersIndexes ? deferralNotes(publication) : []), ...published.notes],
      startsAgain: recorded !== undefined,
      isDeferred: defersIndexes,
      insertFilters: []
    }
  }
  if (recorded === undefined || !found.isTable) {
    return yield* reject(
      "a relation of this name exists that ampsync did not create; use another name in the config, or another DATABASE_SCHEMA"
    )
  }
  if (recorded.positionColumn !== positionColumn) {
    return yield* reject(
      `its rows are placed by column "${recorded.positionColumn}", those of the query by "${positionColumn}"; ${
        dropIt(definition)
      }`
    )
  }
  const unpartitionable = partitioningConflict(definition, found.partitioning)
  if (unpartitionable !== undefined) return yield* reject(`${unpartitionable}; or ${dropIt(definition)}`)
  const difference = compareTable(definition, found, recorded.columns)
  const { added } = difference
  const conflicts = [
    ...(found.isLogged
      ? []
      : ["it is UNLOGGED, so a crash of PostgreSQL would empty it without notice; run ALTER TABLE ... SET LOGGED"]),
    ...difference.conflicts
  ]
  if (conflicts.length > 0) {
    const remedy = difference.conflicts.length > 0 ? `. Undo what was changed, or ${dropIt(definition)}` : ""
    return yield* reject(`the query no longer fits it: ${conflicts.join("; ")}${remedy}`)
  }
  const alter = alterTable(definition, difference, yield* hasLz4)
  const published = yield* examinePublication(run, definition, publication, false)
  const unmade = partitioningNote(definition, found.partitioning)
  const statements = [
    ...(alter === undefined ? [] : [alter]),
    ...(comment === undefined || comment === found.comment ? [] : [commentOn(definition, comment)]),
    ...published.statements
  ]
  return {
    table,
    kind: statements.length === 0 ? "none" : "alter",
    statements,
    indexed: [],
    notes: [
      ...(added.length === 0
        ? []
        : [`added columns ${added.map((_) => _.name).join(", ")}, empty in rows of earlier blocks`]),
      ...(recorded.fingerprint === fingerprint || watermark === undefined
        ? []
        : [changedQuery(table, watermark.block)]),
      ...(found.isDeferred ? deferralNotes(publication) : []),
      ...(found.filters.length === 0
        ? []
        : [`${found.filters.join(", ")} ${MAY_KEEP_ROWS} deleted: a reorg whose rows are kept parks the table`]),
      ...(found.insertFilters.length === 0
        ? []
        : [
          `${
            found.insertFilters.join(", ")
          } ${MAY_KEEP_ROWS} stored: a row that is left out parks the table, and each ` +
          "commit waits until its rows are counted"
        ]),
      ...(unmade === undefined ? [] : [unmade]),
      ...published.notes
    ],
    startsAgain: false,
    isDeferred: found.isDeferred,
    insertFilters: found.insertFilters
  }
})

const changedQuery = (table: string, block: bigint): string =>
  `its query changed: rows up to block ${block} were made by the earlier one; ${toFillAgain(table)}`
