/** The processes of a schedule: each is started again after what happens to it, and none may end by itself. */
import { Effect, Exit, Scope, Semaphore } from "effect"
import { start as spawnWithReaper } from "../../scripts/bench/children.ts"
import { type AmpsyncProcess, startAmpsync } from "../support/ampsyncProcess.ts"
import { shiftedClock } from "../support/shiftedClock.ts"

/** Far more than the 5 seconds that are promised, because the machine may be busy. */
const STOP_TIMEOUT_MILLIS = 60_000
const RESTART_MILLIS = 300
const REJECTED = 2
const LOG_TAIL = 6000

export interface ChaosProcess {
  readonly kill: (downMillis: number) => Effect.Effect<void>
  readonly terminate: (downMillis: number) => Effect.Effect<void>
  /** SIGSTOP, and SIGCONT after `meanwhile`. */
  readonly pause: (meanwhile: Effect.Effect<void>) => Effect.Effect<void>
  /** Sets the wall clock of the process, and of those that follow it, to one that is off by so much. */
  readonly setClock: (offsetMillis: number) => Effect.Effect<void>
  readonly pid: () => number
  /** The end of what the last two processes wrote. */
  readonly logTail: () => string
}

interface Running {
  readonly process: AmpsyncProcess
  readonly startedMillis: number
  readonly scope: Scope.Closeable
}

/** Starts a process that runs until the scope closes; `violated` is called when one ends as it should not. */
export const startProcess = Effect.fnUntraced(function*(
  name: string,
  environment: Readonly<Record<string, string>>,
  violated: (what: string) => void,
  wasConfigInvalid: (sinceMillis: number) => boolean
): Effect.fn.Return<ChaosProcess, never, Scope.Scope> {
  const semaphore = yield* Semaphore.make(1)
  const clock = yield* shiftedClock(0)
  const clocked = { ...environment, ...clock.environment }
  const outer = yield* Effect.scope
  let isExpected = false
  let before = ""

  const start: Effect.Effect<Running> = Effect.gen(function*() {
    const scope = yield* Scope.make()
    const startedMillis = Date.now()
    const process = yield* Scope.provide(startAmpsync(clocked, [], spawnWithReaper), scope)
    isExpected = false
    const watch = Effect.flatMap(process.exited, ({ code, signal }) => {
      if (isExpected) return Effect.void
      // A start with a config file that cannot be read is refused.
      if (code === REJECTED && wasConfigInvalid(startedMillis)) return startAgain(process)
      return Effect.sync(() => violated(`${name} ended by itself with ${signal ?? `exit code ${code}`}`))
    })
    yield* Effect.forkIn(watch, outer)
    return { process, startedMillis, scope } satisfies Running
  })

  const startAgain = (ended: AmpsyncProcess) =>
    Effect.andThen(
      Effect.sleep(RESTART_MILLIS),
      Effect.suspend(() =>
        semaphore.withPermit(Effect.suspend(() => running.process === ended ? restart(0) : Effect.void))
      )
    )

  let running: Running = yield* start
  const end = Effect.suspend(() => {
    isExpected = true
    before = running.process.output()
    return Scope.close(running.scope, Exit.void)
  })
  yield* Effect.addFinalizer(() => end)

  const restart = (downMillis: number) =>
    Effect.gen(function*() {
      yield* end
      yield* Effect.sleep(downMillis)
      running = yield* start
    })

  const terminate = Effect.gen(function*() {
    isExpected = true
    const { process: { exited, kill, output }, startedMillis } = running
    yield* kill("SIGTERM")
    const end = yield* Effect.timeoutOrElse(exited, {
      duration: STOP_TIMEOUT_MILLIS,
      orElse: () => Effect.undefined
    })
    if (end === undefined) violated(`${name} did not end within ${STOP_TIMEOUT_MILLIS} ms of SIGTERM`)
    // Before Node has read the program a signal has its usual effect; a config file that cannot be read ends a start.
    else if (end.code !== 0 && output() !== "" && !(end.code === REJECTED && wasConfigInvalid(startedMillis))) {
      violated(`${name} ended with ${JSON.stringify(end)} after SIGTERM`)
    }
  })

  const exclusively = (effect: Effect.Effect<void>) => semaphore.withPermit(Effect.uninterruptible(effect))
  return {
    kill: (downMillis) => exclusively(restart(downMillis)),
    terminate: (downMillis) => exclusively(Effect.andThen(terminate, restart(downMillis))),
    pause: (meanwhile) =>
      exclusively(Effect.gen(function*() {
        yield* running.process.kill("SIGSTOP")
        yield* meanwhile
        yield* running.process.kill("SIGCONT")
      })),
    setClock: clock.shift,
    pid: () => running.process.pid,
    logTail: () =>
      `${name}:\n${before.slice(-LOG_TAIL)}\n--- started again ---\n${running.process.output().slice(-LOG_TAIL)}`
  }
})
