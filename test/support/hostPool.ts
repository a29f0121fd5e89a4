import { Effect } from "effect"
import pg from "pg"

/** A pool as an app makes it; it ends with the scope. */
export const hostPool = (config: pg.PoolConfig) =>
  Effect.acquireRelease(
    Effect.sync(() => new pg.Pool(config)),
    (pool) => Effect.promise(() => pool.end())
  )
