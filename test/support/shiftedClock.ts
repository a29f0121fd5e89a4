/** Wall clocks that differ from the machine's, one for each process that needs one. */
import { Effect, type Scope } from "effect"
import { rename, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { temporaryDirectory } from "./temporaryDirectory.ts"

export interface ShiftedClock {
  /** For the environment of a process. */
  readonly environment: Readonly<Record<string, string>>
  /** Sets the clock, also of a process that runs: so many milliseconds ahead of the machine's. */
  readonly shift: (millis: number) => Effect.Effect<void>
}

export const HOUR_MILLIS = 3_600_000

/** A clock that is `millis` ahead of the machine's. */
export const shiftedClock = Effect.fnUntraced(function*(
  millis: number
): Effect.fn.Return<ShiftedClock, never, Scope.Scope> {
  const file = join(yield* temporaryDirectory, "shift")
  const shift = (millis: number) =>
    Effect.promise(async () => {
      // Renamed, so that no process reads half of it.
      await writeFile(`${file}.new`, String(millis))
      await rename(`${file}.new`, file)
    })
  yield* shift(millis)
  return {
    environment: {
      NODE_OPTIONS: `--import ${new URL("shiftedClock.mjs", import.meta.url).href}`,
      SHIFTED_CLOCK_FILE: file
    },
    shift
  }
})
