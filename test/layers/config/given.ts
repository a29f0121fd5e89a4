/** Settings from an environment that holds what a test gives, and nothing else. */
import { assert } from "@effect/vitest"
import { ConfigProvider, Effect, Layer } from "effect"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { layer } from "../../../src/layers/Config.ts"
import { AmpsyncConfig, ConfigError } from "../../../src/services/Config.ts"

/** A directory with a config file, gone when the test ends. */
export const directory = Effect.acquireRelease(
  Effect.promise(async () => {
    const path = await mkdtemp(join(tmpdir(), "ampsync-config-"))
    await writeFile(join(path, "nozzle.config.ts"), "export default {}")
    return path
  }),
  (path) => Effect.promise(() => rm(path, { recursive: true, force: true }))
)

export const fromEnvironment = (env: Record<string, string>) =>
  Effect.provide(AmpsyncConfig, layer.pipe(Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env })))))

export const errorOf = (env: Record<string, string>) =>
  Effect.map(Effect.flip(fromEnvironment(env)), (error) => {
    assert.instanceOf(error, ConfigError)
    return error
  })

/** What is set in every case that is about something else. */
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
