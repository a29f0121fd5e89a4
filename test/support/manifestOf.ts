/** The config file of a simulated dataset. */
import { type Dialect, TABLE_NAMES } from "../../src/simulator/tables.ts"

/** Table name -> query. */
export type Queries = Readonly<Record<string, string>>

export const allTables: Queries = Object.fromEntries(
  TABLE_NAMES.map((name) => [name, `SELECT * FROM anvil.${name}`])
)

/** `settings` are entries of a table besides its query, by the name of the table. */
export const manifestOf = (
  dialect: Dialect,
  queries: Queries,
  settings: Readonly<Record<string, object>> = {}
): unknown => ({
  name: "example",
  network: "anvil",
  version: "0.1.0",
  dependencies: { anvil: dialect === "amp" ? "_/anvil@0.1.0" : { owner: "_", name: "anvil", version: "0.1.0" } },
  tables: Object.fromEntries(Object.entries(queries).map(([name, sql]) => [name, { sql, ...settings[name] }]))
})
