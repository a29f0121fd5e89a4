/** Reads the settings: all of them, or those of the database alone where others are wrong. */
import { Context, Effect, Layer, Logger, References, Result } from "effect"
import { type Finding, ok, problem, warning } from "../../../domain/health/Finding.ts"
import { databaseLayer, layer as settingsLayer, type Settings } from "../../../layers/Config.ts"
import { ConnectionConfig, DatabaseConfig } from "../../../services/Config.ts"

/** What could be read; undefined what could not. */
export interface ReadSettings {
  readonly all: Context.Context<Settings> | undefined
  readonly database: Context.Context<ConnectionConfig | DatabaseConfig> | undefined
  readonly finding: Finding
}

export const readSettings: Effect.Effect<ReadSettings> = Effect.gen(function*() {
  const warnings: Array<string> = []
  // The verb itself logs errors only.
  const capture = Layer.merge(
    Logger.layer([Logger.make<unknown, void>(({ message }) => void warnings.push([message].flat().join(" ")))]),
    Layer.succeed(References.MinimumLogLevel, "Warn")
  )
  const read = <A, E>(layer: Layer.Layer<A, E>) =>
    Effect.result(Effect.scoped(Layer.build(layer))).pipe(Effect.provide(capture))
  const all = yield* read(settingsLayer)
  if (Result.isSuccess(all)) {
    const finding = warnings.length > 0
      ? warning(warnings.join(" "), "correct or remove the variables that are ignored")
      : ok("all can be used")
    return { all: all.success, database: all.success, finding }
  }
  const database = yield* read(databaseLayer)
  return {
    all: undefined,
    database: Result.isSuccess(database) ? database.success : undefined,
    finding: problem(
      all.failure.problems.map(({ allowed, found, variable }) => `${variable} ${found}; allowed: ${allowed}`).join(
        ". "
      ),
      "correct the variables; docs/configuration.md has all of them"
    )
  }
})
