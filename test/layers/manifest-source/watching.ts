/** Config files that are watched while a test changes them. */
import { assert } from "@effect/vitest"
import { Context, Duration, Effect, Layer, Queue, Result, Stream } from "effect"
import type { Manifest } from "../../../src/domain/manifest/Manifest.ts"
import type { ManifestSourceOptions } from "../../../src/layers/ManifestSource.ts"
import { type LoadError, ManifestSource } from "../../../src/services/ManifestSource.ts"
import { sourceOf } from "./files.ts"

export interface Watched {
  /** The dataset's name after the next change; fails where that is an error, or no change is detected. */
  readonly nextName: Effect.Effect<string>
  readonly nextError: Effect.Effect<LoadError>
  /** Asserts that no change is detected for longer than a debounce and a poll take. */
  readonly nothingComes: Effect.Effect<void>
}

const PATIENCE = "60 seconds"

/** Loads `path` once, and watches it until the scope closes. */
export const watch = Effect.fnUntraced(function*(path: string, options: ManifestSourceOptions = {}) {
  const ample = { evaluationTimeout: Effect.succeed(Duration.seconds(60)) }
  const source = Context.get(yield* Layer.build(sourceOf(path, { ...ample, ...options })), ManifestSource)
  yield* source.load
  const changes = yield* Queue.unbounded<Result.Result<Manifest, LoadError>>()
  yield* Effect.forkScoped(Stream.runForEach(source.changes, (change) => Queue.offer(changes, change)))
  const next = Queue.take(changes).pipe(
    Effect.timeoutOrElse({ duration: PATIENCE, orElse: () => Effect.die(new Error(`no change within ${PATIENCE}`)) })
  )
  const watched: Watched = {
    nextName: Effect.map(
      next,
      (change) => Result.isSuccess(change) ? change.success.dataset.name : assert.fail(change.failure.message)
    ),
    nextError: Effect.map(next, (change) => Result.isFailure(change) ? change.failure : assert.fail("it loaded")),
    nothingComes: Effect.map(
      Effect.timeoutOption(Queue.take(changes), Duration.sum(options.debounce ?? Duration.zero, Duration.seconds(3))),
      (change) => assert.strictEqual(change._tag, "None", "a change came")
    )
  }
  return watched
})
