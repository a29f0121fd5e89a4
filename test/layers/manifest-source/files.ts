/** Config files in a directory of their own, and how to load them. */
import { NodeHttpClient } from "@effect/platform-node"
import { assert } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { join } from "node:path"
import { layer as adminApi } from "../../../src/layers/AdminApi.ts"
import { layerFrom } from "../../../src/layers/Config.ts"
import { layerWith, type ManifestSourceOptions } from "../../../src/layers/ManifestSource.ts"
import { ManifestError, ManifestSource } from "../../../src/services/ManifestSource.ts"
import { temporaryDirectory } from "../../support/temporaryDirectory.ts"
import { type Files, writeFiles } from "../../support/writeFiles.ts"

/** Writes files into a directory of their own, which is removed when the test ends. */
export const directoryOf = (files: Files) =>
  Effect.tap(temporaryDirectory, (root) => Effect.promise(() => writeFiles(root, files)))

export const sourceOf = (path: string, options: ManifestSourceOptions = {}) =>
  layerWith(options).pipe(
    Layer.provide(adminApi),
    Layer.provide(NodeHttpClient.layerNodeHttp),
    Layer.provide(layerFrom({ DATASET_MANIFEST: path, DATABASE_URL: "postgresql://me@h/db" }))
  )

export const loadFile = (path: string) =>
  Effect.flatMap(ManifestSource, (source) => source.load).pipe(Effect.provide(sourceOf(path)))

/** Loads the first of `files`. */
export const load = Effect.fnUntraced(function*(files: Files) {
  const root = yield* directoryOf(files)
  return yield* loadFile(join(root, Object.keys(files)[0] ?? ""))
})

export const failing = (files: Files) =>
  Effect.map(Effect.flip(load(files)), (error) => {
    assert.instanceOf(error, ManifestError)
    return error as ManifestError
  })

export const named = (name: string) => `{ name: ${JSON.stringify(name)}, tables: { blocks: { sql: "SELECT 1" } } }`

export const loadsAs = (name: string, files: Files) =>
  Effect.map(load(files), (manifest) => assert.strictEqual(manifest.dataset.name, name))
