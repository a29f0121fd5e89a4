/**
 * `ManifestSource` from the config file that the settings name: JSON is parsed, TypeScript and JavaScript are run. Where the
 * settings name a dataset instead, the manifest has its tables as they are.
 */
import { Duration, Effect, Fiber, Layer, Ref, Result, Stream } from "effect"
import { readFile } from "node:fs/promises"
import { extname } from "node:path"
import { errorCode } from "../domain/errorCode.ts"
import { formatDatasetReference } from "../domain/manifest/Dataset.ts"
import { datasetManifest } from "../domain/manifest/datasetManifest.ts"
import { decodeManifest, type Manifest } from "../domain/manifest/Manifest.ts"
import { AdminApi } from "../services/AdminApi.ts"
import { type ManifestOrigin, SyncConfig } from "../services/Config.ts"
import { type LoadError, ManifestError, ManifestSource } from "../services/ManifestSource.ts"
import { changeWatcher } from "./manifest-source/awaitChange.ts"
import { ABSENT, digestOf, type Digests, digestsNow, sameDigests } from "./manifest-source/contentDigest.ts"
import { Evaluation } from "./manifest-source/Evaluation.ts"
import { failureFromThrown, parseJson } from "./manifest-source/evaluationFailure.ts"
import { EVALUATION_MILLIS, takePrefetched } from "./manifest-source/prefetchConfig.ts"

/** Time limits, which tests change. */
export interface ManifestSourceOptions {
  /** How long a config file that is code may run; evaluated before each run. */
  readonly evaluationTimeout?: Effect.Effect<Duration.Duration>
  /** How long the files must stay unchanged before a change is loaded. */
  readonly debounce?: Duration.Duration
  /** How often files are read without an event: network and some bind mounts emit none. */
  readonly pollInterval?: Duration.Duration
}

/** As docs/config-file.md documents it: an editor may save in several steps, and each is an event. */
const DEBOUNCE = Duration.millis(500)

/** The manifest, and the files it was loaded from. */
interface Loaded {
  readonly manifest: Result.Result<Manifest, ManifestError>
  readonly digests: Digests
}

const make = Effect.fnUntraced(function*(options: ManifestSourceOptions) {
  const { manifest } = yield* SyncConfig
  return manifest._tag === "File"
    ? yield* fromFile(manifest.path, options)
    : fromDataset(manifest, yield* AdminApi)
})

const fromFile = Effect.fnUntraced(function*(path: string, options: ManifestSourceOptions) {
  const { evaluationTimeout = Effect.succeed(Duration.millis(EVALUATION_MILLIS)), debounce = DEBOUNCE, pollInterval } =
    options
  const loadNow = loadFile(path, evaluationTimeout)
  const last = yield* Ref.make<Digests>(new Map())
  // A config that is code takes time to start: it does so while other layers connect to the database.
  const prefetched = yield* Effect.forkScoped(loadNow)

  const unchangedPrefetched = Effect.gen(function*() {
    const loaded = yield* Fiber.join(prefetched)
    const now = yield* Effect.promise(() => digestsNow(loaded.digests.keys()))
    return sameDigests(now, loaded.digests) ? loaded : undefined
  })
  const keep = ({ digests, manifest }: Loaded) => Effect.as(Ref.set(last, digests), manifest)
  const load = unchangedPrefetched.pipe(
    Effect.flatMap((loaded) => loaded === undefined ? loadNow : Effect.succeed(loaded)),
    Effect.flatMap(keep),
    Effect.withSpan("ManifestSource.load")
  )

  const changes = Effect.map(
    changeWatcher(debounce, pollInterval),
    (awaitChange) =>
      Stream.fromEffectRepeat(
        Ref.get(last).pipe(Effect.flatMap(awaitChange), Effect.andThen(loadNow), Effect.flatMap(keep))
      )
  )
  return ManifestSource.of({ load: Effect.flatMap(load, Effect.fromResult), changes: Stream.unwrap(changes) })
})

/** Without `changes`: a dataset changes by its version, which is compared with the active one elsewhere. */
const fromDataset = (
  { reference, tables }: Extract<ManifestOrigin, { readonly _tag: "Dataset" }>,
  admin: AdminApi["Service"]
): ManifestSource["Service"] => {
  const load = Effect.gen(function*(): Effect.fn.Return<Manifest, LoadError> {
    const info = yield* admin.dataset(reference)
    const unknown = tables.filter((name) => !info.tables.some((table) => table.name === name))
    const manifest = datasetManifest(reference, info.dialect, tables)
    if (unknown.length === 0 && Result.isSuccess(manifest)) return manifest.success
    const available = info.tables.map(({ name }) => name).join(", ")
    return yield* failed("select", formatDatasetReference(reference), [
      ...unknown.map((name) =>
        `there is no table ${JSON.stringify(name)} in version ${info.version}; it has ${available}`
      ),
      ...(Result.isFailure(manifest) ? manifest.failure : [])
    ])
  })
  return ManifestSource.of({ load, changes: Stream.never })
}

const loadFile = Effect.fnUntraced(
  function*(path: string, timeout: Effect.Effect<Duration.Duration>): Effect.fn.Return<Loaded> {
    const digests = new Map<string, string>()
    const read = yield* Effect.result(readContent(path))
    if (Result.isFailure(read)) {
      return { manifest: Result.fail(read.failure.error), digests: digests.set(path, read.failure.digest) }
    }
    digests.set(path, digestOf(read.success))
    const value = extname(path) === ".json"
      ? Effect.try({
        try: () => parseJson(read.success.toString("utf8"), path),
        catch: (thrown) => {
          const { file, line, message } = failureFromThrown(thrown, () => false)
          return failed("evaluate", path, [message], { file, line })
        }
      })
      : evaluate(path, timeout, digests)
    const manifest = yield* Effect.result(
      Effect.flatMap(
        value,
        (decoded) =>
          Effect.fromResult(
            Result.mapError(decodeManifest(decoded), ({ problems }) => failed("validate", path, problems))
          )
      )
    )
    return { manifest, digests }
  }
)

/** Runs the config file; adds the digests of the files it has read to `digests`. */
const evaluate = (path: string, timeout: Effect.Effect<Duration.Duration>, digests: Map<string, string>) =>
  Effect.acquireUseRelease(
    Effect.map(timeout, (limit) => takePrefetched(path) ?? new Evaluation(path, Duration.toMillis(limit))),
    ({ ended }) => Effect.promise(() => ended),
    (evaluation) =>
      Effect.promise(async () => {
        await evaluation.stop()
        for (const [file, digest] of evaluation.files) digests.set(file, digest)
      })
  ).pipe(
    Effect.flatMap((ended) =>
      ended.kind === "exported"
        ? Effect.succeed(ended.value)
        : Effect.fail(failed(ended.operation, path, [ended.reason], ended))
    )
  )

/** Reads the file before it is run, so that a missing or unreadable one is not reported as an error of its code. */
const readContent = (path: string) =>
  Effect.tryPromise({
    try: () => readFile(path),
    catch: (cause) => {
      const code = errorCode(cause)
      const missing = code === "ENOENT" || code === "ENOTDIR"
      const reason = missing ? "the file does not exist" : `the file cannot be read (${code})`
      return { error: failed("read", path, [reason]), digest: missing ? ABSENT : code }
    }
  })

const failed = (
  operation: ManifestError["operation"],
  path: string,
  problems: ReadonlyArray<string>,
  place?: { readonly file: string | undefined; readonly line: number | undefined }
): ManifestError => new ManifestError({ operation, path, file: place?.file, line: place?.line, problems })

/** As `layer`, with other time limits. */
export const layerWith = (
  options: ManifestSourceOptions
): Layer.Layer<ManifestSource, never, SyncConfig | AdminApi> => Layer.effect(ManifestSource, make(options))

export const layer: Layer.Layer<ManifestSource, never, SyncConfig | AdminApi> = layerWith({})
