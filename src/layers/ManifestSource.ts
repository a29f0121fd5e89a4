/** `ManifestSource` from the config file that the settings name: JSON is parsed, TypeScript and JavaScript are run. */
import { Effect, Layer, Result } from "effect"
import { readFile } from "node:fs/promises"
import { extname } from "node:path"
import { decodeManifest } from "../domain/Manifest.ts"
import { AmpsyncConfig } from "../services/Config.ts"
import { ManifestError, ManifestSource } from "../services/ManifestSource.ts"
import { evaluateConfig } from "./manifest-source/evaluateConfig.ts"
import { EvaluationFailure, failureFromThrown, parseJson } from "./manifest-source/evaluationFailure.ts"

const make = Effect.gen(function*() {
  const { manifestPath } = yield* AmpsyncConfig
  const load = Effect.fn("ManifestSource.load")(function*() {
    const content = yield* readText(manifestPath)
    const value = yield* evaluate(manifestPath, content)
    return yield* decode(manifestPath, value)
  })
  return ManifestSource.of({ load: load() })
})

/** Read first, so that a file that is gone or closed to us is not taken for a mistake in its code. */
const readText = (path: string): Effect.Effect<string, ManifestError> =>
  Effect.tryPromise({
    try: () => readFile(path, "utf8"),
    catch: (cause) => {
      const code = (cause as NodeJS.ErrnoException).code ?? "unknown error"
      return failed("read", path, [code === "ENOENT" ? "the file does not exist" : `the file cannot be read (${code})`])
    }
  })

const evaluate = (path: string, content: string): Effect.Effect<unknown, ManifestError> =>
  Effect.tryPromise({
    try: async () => extname(path) === ".json" ? parseJson(content, path) : evaluateConfig(path),
    catch: (thrown) => {
      const failure = failureFromThrown(thrown, () => false)
      return failed("evaluate", path, [failure.message], failure)
    }
  })

const decode = (path: string, value: unknown) =>
  Effect.try({
    try: () => decodeManifest(value),
    // A getter or a proxy of the user's code may throw while it is looked at.
    catch: (thrown) => failed("validate", path, [failureFromThrown(thrown, () => false).message])
  }).pipe(
    Effect.flatMap((decoded) =>
      Effect.fromResult(Result.mapError(decoded, ({ problems }) => failed("validate", path, problems)))
    )
  )

const failed = (
  operation: ManifestError["operation"],
  path: string,
  problems: ReadonlyArray<string>,
  place?: EvaluationFailure
): ManifestError => new ManifestError({ operation, path, file: place?.file, line: place?.line, problems })

export const layer: Layer.Layer<ManifestSource, never, AmpsyncConfig> = Layer.effect(ManifestSource, make)
