/** Runs a soak and writes it down as it goes. */
import { Cause, Effect, Exit, Fiber } from "effect"
import { disturb } from "./disturb.ts"
import { finish } from "./finish.ts"
import { WARM_UP } from "./judge.ts"
import { startReaders } from "./readers.ts"
import type { Line } from "./samples.ts"
import { RETENTION_BLOCKS, setStage } from "./stage.ts"
import { tableNames } from "./tables.ts"
import { takeSample } from "./takeSample.ts"

const SAMPLE_MILLIS = 5_000

export interface RecordOptions {
  readonly minutes: number
  readonly seed: number
  /** An empty directory. */
  readonly home: string
  readonly command: string
  /** Called with every line of the recording. */
  readonly write: (line: Line) => void
  /** Ends the soak early, in good order. */
  readonly stop: Effect.Effect<void>
}

const run = Effect.fnUntraced(function*({ command, home, minutes, seed, stop, write }: RecordOptions) {
  const stage = yield* setStage(home, seed)
  const began = performance.now()
  const seconds = () => Math.round((performance.now() - began) / 100) / 10
  write({
    kind: "start",
    at: new Date().toISOString(),
    command,
    seed,
    minutes,
    tables: tableNames,
    retentionBlocks: RETENTION_BLOCKS
  })
  const readers = yield* startReaders(stage.health)
  const disturbing = yield* Effect.forkScoped(
    disturb(stage, seed, minutes * 60_000 * WARM_UP, (name) => write({ kind: "action", seconds: seconds(), name }))
  )
  const sampling = yield* Effect.forkScoped(Effect.forever(
    Effect.andThen(Effect.sleep(SAMPLE_MILLIS), Effect.suspend(() => Effect.map(takeSample(stage, seconds()), write)))
  ))
  const ended = Effect.map(
    stage.process.exited,
    ({ code, signal }) => stage.violated(`the process ended by itself with ${signal ?? `exit code ${code}`}`)
  )
  const broken = Effect.map(
    Effect.raceFirst(Fiber.await(disturbing), Fiber.await(sampling)),
    (exit) => stage.violated(`the soak itself failed: ${Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "it ended"}`)
  )
  yield* Effect.raceAllFirst([Effect.sleep(minutes * 60_000), stop, ended, broken])
  yield* Fiber.interruptAll([disturbing, sampling])
  const isAlive = stage.violations.length === 0
  const finished = isAlive ? yield* Effect.exit(finish(stage)) : Exit.succeed({ found: [], rows: 0 })
  const { found, rows } = Exit.isSuccess(finished) ? finished.value : { found: [Cause.pretty(finished.cause)], rows: 0 }
  const violations = [...stage.violations, ...found]
  write({
    kind: "end",
    seconds: seconds(),
    violations,
    rowsCompared: rows,
    answers: readers.answers(),
    events: readers.events()
  })
  return violations.length === 0 ? "" : stage.process.output().slice(-10_000)
})

/** Runs it; gives the end of the log where something was wrong. Everything is stopped afterwards. */
export const record = (options: RecordOptions): Effect.Effect<string> => Effect.scoped(run(options))
