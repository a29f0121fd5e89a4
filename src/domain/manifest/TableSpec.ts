/** One table to keep equal to the chain. */
import { Result } from "effect"
import { fingerprint } from "../fingerprint.ts"
import { MAX_IDENTIFIER_BYTES } from "../postgres/table/identifiers.ts"
import { type ColumnOverride, formatOverrideType } from "../postgres/types/columnOverride.ts"
import { type StreamingQuery, streamingQuery } from "../sql/streamingQuery.ts"
import { noSettings, type TableSettings } from "./TableSettings.ts"
import { wideIntegers } from "./wideIntegers.ts"

export interface TableSpec {
  /** The name of the table in PostgreSQL, exactly as the config writes it. */
  readonly name: string
  readonly query: StreamingQuery
  readonly settings: TableSettings
  /** Columns that hold integers of more than 126 bits, however the server sends them; a type in the settings wins. */
  readonly wideIntegers: ReadonlyArray<string>
  /**
   * Changes when what is stored does: with the query, not with its layout, its comments or the case of its words, and with
   * the types that the settings give columns.
   */
  readonly fingerprint: string
}

export interface InvalidTable {
  readonly _tag: "InvalidTable"
  /** What the problem belongs to. */
  readonly part: "name" | "sql"
  readonly reason: string
}

/** Fails on a name PostgreSQL would cut or that our bookkeeping uses, and on a query that cannot be followed. */
export const makeTableSpec = (
  name: string,
  sql: string,
  settings: TableSettings = noSettings
): Result.Result<TableSpec, InvalidTable> => {
  const problem = tableNameProblem(name)
  if (problem !== undefined) return Result.fail({ _tag: "InvalidTable", part: "name", reason: problem })
  return Result.mapBoth(streamingQuery(sql), {
    onFailure: ({ reason }): InvalidTable => ({ _tag: "InvalidTable", part: "sql", reason }),
    onSuccess: (query): TableSpec => ({
      name,
      query,
      settings,
      wideIntegers: wideIntegers(query.batch),
      fingerprint: fingerprint(query.normalized + settings.columns.map(storedAs).join(""))
    })
  })
}

/** Begins with what no query holds between its words. */
const storedAs = ({ column, type }: ColumnOverride): string => `\n${JSON.stringify(column)} ${formatOverrideType(type)}`

export const tableNameProblem = (name: string): string | undefined => {
  if (name === "") return "a table needs a name"
  if (name.includes("\0")) return "a table name cannot hold a NUL character"
  if (new TextEncoder().encode(name).length > MAX_IDENTIFIER_BYTES) {
    return `a table name has at most ${MAX_IDENTIFIER_BYTES} bytes in PostgreSQL`
  }
  return name.toLowerCase().startsWith("_ampsync")
    ? "names that begin with _ampsync belong to the bookkeeping"
    : undefined
}
