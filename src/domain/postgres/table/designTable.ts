/** The table of a query: its columns, the position of its rows, its keys. */
import { Result } from "effect"
import type { ArrowSchema } from "../../arrow/ArrowSchema.ts"
import { noSettings, type TableSettings } from "../../manifest/TableSettings.ts"
import { wideIntegerOverrides } from "../types/columnOverride.ts"
import { type PgColumn, planColumns } from "../types/PgType.ts"
import { keyProblems, sameColumns } from "./compareTable.ts"
import { partitionProblems } from "./partitions.ts"
import { choosePosition, type ChosenPosition } from "./position.ts"
import { rowKey, type TableDefinition } from "./tableDdl.ts"

/** What a table is made from. */
export interface TableSource {
  readonly table: string
  /** The columns of its query. */
  readonly schema: ArrowSchema
  readonly settings?: TableSettings
  /** Columns that hold integers of up to 256 bits, as far as they come as text or as decimals. */
  readonly wideIntegers?: ReadonlyArray<string>
}

export interface TableDesign {
  readonly columns: ReadonlyArray<PgColumn>
  readonly position: ChosenPosition
  readonly definition: TableDefinition
}

/** Derives a table of the schema `databaseSchema` from the columns of its query. Fails with what is wrong with them. */
export const designTable = (
  databaseSchema: string,
  { schema, settings = noSettings, table, wideIntegers = [] }: TableSource
): Result.Result<TableDesign, string> =>
  Result.gen(function*() {
    const overrides = [...settings.columns, ...wideIntegerOverrides(schema, wideIntegers, settings.columns)]
    const columns = yield* Result.mapError(planColumns(schema, overrides), ({ message }) => message)
    const position = yield* choosePosition(columns)
    const { column: positionColumn } = position
    const problems = [
      ...keyProblems(columns, positionColumn, settings),
      ...partitionProblems(positionColumn, settings)
    ]
    if (problems.length > 0) return yield* Result.fail(problems.join("; "))
    const { comment } = settings
    const isOwnKey = settings.primaryKey !== undefined && !sameColumns(settings.primaryKey, rowKey(positionColumn))
    const primaryKey = isOwnKey ? settings.primaryKey : undefined
    return {
      columns,
      position,
      definition: {
        schema: databaseSchema,
        table,
        columns,
        positionColumn,
        primaryKey,
        comment,
        ...(settings.partitionBy === undefined ? {} : { partitionBlocks: BigInt(settings.partitionBy.blocks) })
      }
    }
  })
