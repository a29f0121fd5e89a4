/** Settings from an environment that contains only the variables of a test. */
import { assert } from "@effect/vitest"
import { ConfigProvider, Effect, Layer, Logger } from "effect"
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { databaseLayer, layer, logSettings } from "../../../src/layers/Config.ts"
import { ConfigError, ConnectionConfig, DatabaseConfig, SyncConfig } from "../../../src/services/Config.ts"
import { temporaryDirectory } from "../../support/temporaryDirectory.ts"

/** A directory with a config file, removed when the test ends. */
export const directory = Effect.tap(
  temporaryDirectory,
  (path) => Effect.promise(() => writeFile(join(path, "nozzle.config.ts"), "export default {}"))
)

const providing = (env: Record<string, string>) => ConfigProvider.layer(ConfigProvider.fromEnv({ env }))

/** What the target database needs, as one record. */
const databaseSettings = Effect.gen(function*() {
  return { ...(yield* ConnectionConfig), ...(yield* DatabaseConfig) }
})

/** All services as one record. */
export const allSettings = Effect.gen(function*() {
  return { ...(yield* databaseSettings), ...(yield* SyncConfig) }
})

export const fromEnvironment = (env: Record<string, string>) =>
  Effect.provide(allSettings, Layer.provide(layer, providing(env)))

/** The services of the database's settings alone. */
export const databaseFromEnvironment = (env: Record<string, string>) =>
  Effect.provide(databaseSettings, Layer.provide(databaseLayer, providing(env)))

export const logFilterFromEnvironment = (env: Record<string, string>) =>
  Effect.map(Effect.provide(logSettings, providing(env)), ({ filter }) => filter)

/** The lines that are logged while settings are read. */
export const linesOf = <A, E>(reading: Effect.Effect<A, E>) =>
  Effect.suspend(() => {
    const lines: Array<string> = []
    const logger = Logger.make<unknown, void>(({ logLevel, message }) => {
      lines.push(`${logLevel} ${[message].flat().join(" ")}`)
    })
    return Effect.as(Effect.provide(reading, Logger.layer([logger])), lines)
  })

export const errorOf = (env: Record<string, string>) =>
  Effect.map(Effect.flip(fromEnvironment(env)), (error) => {
    assert.instanceOf(error, ConfigError)
    return error
  })

/** The variables that are set where a test is about others. */
export const withBasics = Effect.fnUntraced(function*(env: Record<string, string>) {
  const path = join(yield* directory, "nozzle.config.ts")
  return { DATASET_MANIFEST: path, DATABASE_URL: "postgresql://me:hunter2@h/db", ...env }
})

export const given = Effect.fnUntraced(function*(env: Record<string, string>) {
  return yield* fromEnvironment(yield* withBasics(env))
})

export const problemsWith = Effect.fnUntraced(function*(env: Record<string, string>) {
  return (yield* errorOf(yield* withBasics(env))).problems
})
