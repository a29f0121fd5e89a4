import { assert } from "@effect/vitest"
import { Effect } from "effect"
import type { TestDatabase } from "./postgres.ts"

/** Of 20 ms each, in the server: the clock of a test may stand still. */
const MAX_PAUSES = 250

/**
 * Ends the sessions of pg_stat_activity for which `condition` is true and waits until they are gone. Returns their number.
 *
 * PostgreSQL 14 and newer could wait itself: pg_terminate_backend has a timeout there.
 */
export const endSessions = Effect.fnUntraced(function*(
  { query }: Pick<TestDatabase, "query">,
  condition: string,
  params: ReadonlyArray<unknown> = []
) {
  const ended = yield* query<{ pid: number }>(
    `SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${condition}`,
    params
  )
  const pids = ended.map(({ pid }) => pid)
  for (let pause = 0; pause < MAX_PAUSES; pause += 1) {
    const left = yield* query("SELECT FROM pg_stat_activity WHERE pid = ANY($1::int[])", [pids])
    if (left.length === 0) return pids.length
    yield* query("SELECT pg_sleep(0.02)")
  }
  return assert.fail(`sessions of server processes ${pids.join(", ")} are still there`)
})
