/** Pools of `pg` that close with a scope. */
import { Effect } from "effect"
import type { Scope } from "effect"
import { Socket } from "node:net"
import type { Duplex } from "node:stream"
import pg from "pg"

/** How long a stop waits for connections to close; a lost one would never do so. */
const END_MILLIS = 1_000

/** A pool that ends with the scope. */
export const newPool = (config: pg.PoolConfig): Effect.Effect<pg.Pool, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const sockets = new Set<Duplex>()
      const pool = new pg.Pool({
        ...config,
        stream: () => {
          const socket = openSocket(config.stream)
          sockets.add(socket)
          return socket.once("close", () => sockets.delete(socket))
        }
      })
      // The loss of an idle connection is an event of the pool; without a listener it would end the process.
      return { pool: pool.on("error", () => {}), sockets }
    }),
    ({ pool, sockets }) =>
      Effect.promise(() => {
        setTimeout(() => sockets.forEach((socket) => socket.destroy()), END_MILLIS).unref()
        return pool.end()
      })
  ).pipe(Effect.map(({ pool }) => pool))

/** A host may connect to its database through a socket of its own. */
const openSocket = (make: pg.PoolConfig["stream"]): Duplex => make?.() ?? new Socket()
