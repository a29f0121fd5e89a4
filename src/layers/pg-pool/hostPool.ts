/** The connections of a host program: from its pool, and outside of it with the same options. */
import { Effect, Semaphore } from "effect"
import type { Scope } from "effect"
import type { SqlError } from "effect/sql"
import type pg from "pg"
import { ConfigError, type ConfigProblem } from "../../services/Config.ts"
import type { HostPool, HostPoolOptions } from "../../services/HostPool.ts"
import { connectionLost } from "./classify.ts"
import { type Connections, tryOut } from "./connections.ts"
import { lease, unknownServer } from "./lease.ts"
import { newPool } from "./newPool.ts"
import { waitFor } from "./ownPool.ts"

/** A host may use all connections itself: a longer wait must be reported. */
const FREE_WITHIN_SECONDS = 30
/** The default of `pg`. */
const DEFAULT_MAX = 10

/** The options of a pool, as `pg` reads them. */
interface Options extends pg.PoolConfig {
  readonly max?: number
}

/** Connections of a host's pool, one of which has proved to work; waits for a database that is down. */
export const hostConnections = Effect.fnUntraced(function*(
  host: HostPool,
  { maxConnections }: HostPoolOptions,
  stallMillis: number
): Effect.fn.Return<Connections, ConfigError | SqlError.SqlError, Scope.Scope> {
  const options = host.options as Options
  const max = Math.min(options.max ?? DEFAULT_MAX, maxConnections ?? Infinity)
  const problems = [...problemsOf(options, max), ...(isTooOld(host) ? [ofOldVersion] : [])]
  if (problems.length > 0) return yield* new ConfigError({ problems })
  yield* survivesLostConnections(host)
  const pool: Pick<HostPool, "connect"> = { connect: (done) => host.connect(done) }
  const isDirect = yield* waitFor(tryOut(pool, stallMillis), "the pool of the app")
  const takesPipeline = Effect.map(lease(pool, unknownServer(stallMillis)), (connection) => connection.takesPipeline)
  if (!(yield* Effect.scoped(takesPipeline))) return yield* new ConfigError({ problems: [ofNative] })
  const permits = yield* Semaphore.make(max)
  return {
    lease: Effect.fnUntraced(function*(session) {
      yield* Effect.acquireRelease(permits.take(1), () => permits.release(1), { interruptible: true })
      return yield* Effect.timeoutOrElse(lease(pool, session), {
        duration: `${FREE_WITHIN_SECONDS} seconds`,
        orElse: () =>
          Effect.fail(
            connectionLost(
              `no connection of the app's pool was free or could be made for ${FREE_WITHIN_SECONDS} seconds`,
              "connect"
            )
          )
      })
    }),
    newPool: newPool(sameKind(host)),
    isDirect,
    maxConnections: max,
    database: options.database ?? ""
  }
})

const problemsOf = (options: Options, max: number): ReadonlyArray<ConfigProblem> => [
  ...(max >= 2
    ? []
    : [{ variable: "max of the app's pool, or maxConnections", found: `is ${max}`, allowed: "2 or more" }]),
  ...(options.query_timeout
    ? [{
      variable: "query_timeout of the app's pool",
      found: `is ${options.query_timeout}`,
      allowed: "none: it would end statements that take long, such as the deletion of a reorg"
    }]
    : [])
]

/** Whether clients of the pool cannot report the state of their transaction; a pool that hides its clients is believed. */
const isTooOld = (host: HostPool): boolean => {
  const { Client: client } = host as { readonly Client?: { readonly prototype?: object } }
  return client?.prototype !== undefined && !("getTransactionStatus" in client.prototype)
}

const ofOldVersion: ConfigProblem = {
  variable: "the app's pool",
  found: "is one of pg before 8.21, or of pg-native, whose clients do not report the state of their transaction",
  allowed: "a Pool of pg 8.21 or later"
}

const ofNative: ConfigProblem = {
  variable: "the app's pool",
  found: "is one of pg-native, whose connections take no COPY data",
  allowed: "a Pool of pg"
}

/** The loss of an idle connection is an event of the pool, which without a listener ends the process. */
const survivesLostConnections = (host: HostPool): Effect.Effect<void, never, Scope.Scope> => {
  const listener = (): void => {}
  return Effect.acquireRelease(
    Effect.sync(() => void host.on("error", listener)),
    () => Effect.sync(() => void host.off("error", listener))
  )
}

/** The options for another pool to the same database: `pg` hides the password of a pool from copies. */
const sameKind = (host: HostPool): pg.PoolConfig => {
  const { Client } = host as { readonly Client?: typeof pg.Client }
  const options = host.options as Options
  return {
    ...options,
    ...(options.password === undefined ? {} : { password: options.password }),
    ...(Client === undefined ? {} : { Client }),
    max: 1,
    min: 0
  }
}
