/** The verb `grants`: prints the least rights of a sync and of its readers, as SQL. */
import { Console, Effect, Option } from "effect"
import { grantsScript } from "../../../domain/sql/grants.ts"
import { ConnectionConfig, DatabaseConfig, SyncConfig } from "../../../services/Config.ts"
import { ManifestSource } from "../../../services/ManifestSource.ts"

/** Roles by name. */
export interface GrantsOptions {
  /** The role of the settings where there is none. */
  readonly writer: Option.Option<string>
  readonly reader: string
  readonly owner: Option.Option<string>
}

/** The tables that the settings or the config file name; asks neither server nor database. */
const tableNames = Effect.gen(function*() {
  const { manifest } = yield* SyncConfig
  if (manifest._tag === "Dataset") return manifest.tables
  const { tables } = yield* (yield* ManifestSource).load
  return tables.map(({ name }) => name)
})

/** Prints the script. */
export const grants = Effect.fn("grants")(function*({ owner, reader, writer }: GrantsOptions) {
  const { database: { database, user } } = yield* ConnectionConfig
  const { databaseSchema: schema } = yield* DatabaseConfig
  yield* Console.log(grantsScript({
    database,
    schema,
    tables: yield* tableNames,
    writer: Option.getOrElse(writer, () => user),
    reader,
    owner: Option.getOrUndefined(owner)
  }))
})
