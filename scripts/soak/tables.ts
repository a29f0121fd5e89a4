/** The tables of a soak: those of the chaos machine with fewer columns, and one whose rows wait for confirmations. */
import { chaosQueries, type ChaosTable, chaosTables } from "../../test/chaos/tables.ts"
import { manifestOf, type Queries } from "../../test/support/manifestOf.ts"

export const CONFIRMATIONS = 12
export const CONFIRMED = "confirmed"
/** The one that leaves the config and comes back, by its index in `chaosTables`. */
export const REMOVED = 3

const LOG_COLUMNS = ["_block_num", "block_hash", "tx_hash", "log_index"]
const CONFIRMED_COLUMNS = ["_block_num", "hash"]

/** The machine's own table with confirmations is left out. */
const shared = chaosTables.filter(({ confirmations }) => confirmations === undefined)

export const tableNames: ReadonlyArray<string> = [...shared.map(({ as }) => as), CONFIRMED]

/** The config file without the table; with all of them where none is named. */
export const configWithout = (table?: string): string =>
  configOf({ ...chaosQueries, logs: `SELECT ${LOG_COLUMNS.join(", ")} FROM anvil.logs` }, table)

/** The config file with these queries, and the table whose rows wait, but not the table that is named. */
export const configOf = (queries: Queries, table?: string): string => {
  const manifest = manifestOf("amp", queries) as { readonly tables: Readonly<Record<string, object>> }
  const confirmed = {
    sql: `SELECT ${CONFIRMED_COLUMNS.join(", ")} FROM anvil.blocks`,
    confirmations: CONFIRMATIONS
  }
  const kept = Object.entries({ ...manifest.tables, [CONFIRMED]: confirmed })
    .filter(([name]) => tableNames.includes(name) && name !== table)
  return JSON.stringify({ ...manifest, tables: Object.fromEntries(kept) })
}

/** What each table has to contain, where the newest block that had its confirmations is `confirmed`. */
export const comparisonsOf = (confirmed: bigint): ReadonlyArray<ChaosTable> => [
  ...shared.map((table) => table.as === "logs" ? { ...table, columns: LOG_COLUMNS } : table),
  {
    as: CONFIRMED,
    source: "blocks",
    position: "_block_num",
    columns: CONFIRMED_COLUMNS,
    where: (row) => BigInt(row["_block_num"]!) <= confirmed
  }
]
