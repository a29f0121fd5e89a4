/** A chain that grows, and what disturbs the sync meanwhile: each kind at its own pace, for as long as the soak runs. */
import { Effect } from "effect"
import { Random, seedOf } from "../../src/simulator/random.ts"
import { perform } from "../../test/chaos/actions.ts"
import type { ActionKind } from "../../test/chaos/schedule.ts"
import type { SoakStage } from "./stage.ts"
import { REMOVED } from "./tables.ts"

const BLOCK_MILLIS = 500

/** In the warm-up, so that each table has more than the thousand reorgs that are kept, and their number cannot grow any more. */
const WARM_UP_REORG_MILLIS = 500

interface Disturbance {
  readonly kind: ActionKind
  /** Mean time between two. */
  readonly everySeconds: number
  /** Blocks or times, from 1 on; 1 where absent. */
  readonly most?: number
  /** How long one lasts that ends by itself. */
  readonly millis?: number
  readonly target?: number
}

/** Kinds that stop the process or PostgreSQL are left out: what a process leaks must not go with it. */
const DISTURBANCES: ReadonlyArray<Disturbance> = [
  { kind: "reorg", everySeconds: 10, most: 12 },
  { kind: "reorg", everySeconds: 300, most: 100 },
  { kind: "reorgs", everySeconds: 240, most: 4 },
  { kind: "flight-cut", everySeconds: 60 },
  { kind: "flight-cut-in-range", everySeconds: 90, most: 6 },
  { kind: "flight-end-streams", everySeconds: 150 },
  { kind: "flight-reset-streams", everySeconds: 150 },
  { kind: "flight-error", everySeconds: 200, most: 3 },
  { kind: "flight-goaway", everySeconds: 300, millis: 10_000 },
  { kind: "flight-hang", everySeconds: 400, millis: 5_000 },
  { kind: "admin-down", everySeconds: 400, most: 2 },
  { kind: "reload-without-table", everySeconds: 60, millis: 15_000, target: REMOVED },
  { kind: "reload-invalid", everySeconds: 500, millis: 3_000 },
  { kind: "pg-terminate-backends", everySeconds: 300 },
  { kind: "pg-cancel-backends", everySeconds: 300 },
  { kind: "pg-commit-cut", everySeconds: 180 },
  { kind: "pg-lock-table", everySeconds: 400, millis: 2_000 }
]

/**
 * Runs until it is interrupted; `done` is called with the kind of every disturbance when it has ended. Until
 * the warm-up ends, reorgs come one after the other.
 */
export const disturb = (
  stage: SoakStage,
  seed: number,
  warmUpMillis: number,
  done: (kind: ActionKind) => void
): Effect.Effect<void> => {
  const loops = DISTURBANCES.map(({ everySeconds, kind, millis = 0, most = 1, target }, index) => {
    const random = new Random(seedOf([seed]), index)
    const once = Effect.suspend(() =>
      Effect.sleep(everySeconds * (500 + random.below(1000))).pipe(
        Effect.andThen(Effect.suspend(() =>
          // One that lasts must not stay when the soak ends in the middle of it.
          Effect.uninterruptible(
            perform(stage, {
              atMillis: 0,
              kind,
              amount: 1 + random.below(most),
              millis,
              target: target ?? random.below(60)
            })
          )
        )),
        Effect.andThen(Effect.sync(() => done(kind)))
      )
    )
    return Effect.forever(once)
  })
  const grow = Effect.forever(Effect.andThen(Effect.sleep(BLOCK_MILLIS), Effect.sync(() => stage.simulator.mine(1))))
  const reorgs = Effect.forEach(
    Array.from({ length: Math.floor(warmUpMillis / WARM_UP_REORG_MILLIS) }, (_, index) => 1 + index % 3),
    (depth) => Effect.andThen(Effect.sleep(WARM_UP_REORG_MILLIS), Effect.sync(() => stage.simulator.reorg(depth))),
    { discard: true }
  )
  return Effect.asVoid(Effect.all([grow, reorgs, ...loops], { concurrency: "unbounded" }))
}
