/** One table to sync: its name, its query and its settings. */
import { Result } from "effect"
import { fingerprint } from "../fingerprint.ts"
import { MAX_IDENTIFIER_BYTES } from "../postgres/table/identifiers.ts"
import { type ColumnOverride, formatOverrideType } from "../postgres/types/columnOverride.ts"
import { type StreamingQuery, streamingQuery } from "../sql/streamingQuery.ts"
import { noSettings, type TableSettings } from "./TableSettings.ts"
import { wideIntegers } from "./wideIntegers.ts"

/** A table of the config. */
export interface TableSpec {
  /** The name of the table in PostgreSQL, exactly as the config writes it. */
  readonly name: string
  readonly query: StreamingQuery
  readonly settings: TableSettings
  /** Columns of integers of more than 126 bits, however the server sends them; a type in the settings takes precedence. */
  readonly wideIntegers: ReadonlyArray<string>
  /**
   * Changes when the stored rows would: with the query, but not with its layout, its comments or the case of its words, and
   * with the types that the settings give columns.
   */
  readonly fingerprint: string
}

/** Why an entry of `tables` cannot be synced. */
export interface InvalidTable {
  readonly _tag: "InvalidTable"
  /** The key of the config with the problem. */
  readonly part: "name" | "sql"
  readonly reason: string
}

/** Makes a table. Fails: a name that PostgreSQL would cut or that the bookkeeping uses, a query that cannot be streamed. */
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

/** Begins with a line break, which no normalized query contains. */
const storedAs = ({ column, type }: ColumnOverride): string => `\n${JSON.stringify(column)} ${formatOverrideType(type)}`

/** Why a table cannot have this name; undefined where it can. */
export const tableNameProblem = (name: string): string | undefined => {
  if (name === "") return "a table needs a name"
  if (name.includes("\0")) return "a table name cannot contain a NUL character"
  if (new TextEncoder().encode(name).length > MAX_IDENTIFIER_BYTES) {
    return `a table name has at most ${MAX_IDENTIFIER_BYTES} bytes in PostgreSQL`
  }
  return name.toLowerCase().startsWith("_ampsync")
    ? "names that begin with _ampsync belong to the bookkeeping"
    : undefined
}
