/** A connection of `pg` for effect's SQL client. */
import { Effect, Stream } from "effect"
import type { SqlConnection, SqlError } from "effect/sql"
import type { PoolClient, QueryArrayResult, QueryResult } from "pg"
import { classify, connectionLost, endsSession } from "./classify.ts"
import { Pipeline, processIdOf, transactionStatus } from "./Pipeline.ts"
import { resultTypes } from "./resultTypes.ts"
import { type SilenceLimits, watchSilence } from "./Silence.ts"

/** Statements that only a lost connection can delay (lock timeouts are shorter), so that a slow server is not affected. */
const INSTANT = /^(?:BEGIN|ROLLBACK|COMMIT|SAVEPOINT|RELEASE|INSERT|UPDATE)$/
/** The end of a transaction must not block: without a response the session is ended, and rolled back with it. */
const ROLLBACK_MILLIS = 5_000
/** Statements without an effect of their own, or that are rolled back with their session. */
const WITHOUT_OUTCOME = /^(?:BEGIN|ROLLBACK|SAVEPOINT|RELEASE|SELECT|SET|SHOW)$/

/**
 * One checked-out connection of the pool, as effect's SQL client wants it, or as a pipeline.
 *
 * Once `broken`, nothing more is sent: its transaction has ended, committed or not, and the pool discards it.
 */
export class PooledConnection implements SqlConnection.Connection {
  broken = false
  private readonly client: PoolClient
  private readonly limits: SilenceLimits
  private readonly isPostgres: boolean
  private readonly onLost = (): void => {
    this.broken = true
  }

  /**
   * A statement that begins or ends a transaction counts as lost when it is not answered in the time of `limits`; for others
   * the server's view of the session is checked then. `isPostgres`: without a pooler in between.
   */
  constructor(client: PoolClient, limits: SilenceLimits, isPostgres: boolean) {
    this.client = client
    this.limits = limits
    this.isPostgres = isPostgres
    // Without a listener the loss of a checked-out connection would end the process.
    client.on("error", this.onLost)
    client.on("end", this.onLost)
  }

  release(): void {
    this.client.off("error", this.onLost)
    this.client.off("end", this.onLost)
    this.client.release(this.broken)
  }

  execute(sql: string, params: ReadonlyArray<unknown>, transform: Transform): Effect.Effect<Rows, SqlError.SqlError> {
    const rows = Effect.map(this.executeRaw(sql, params), (result) => result.rows)
    return transform === undefined ? rows : Effect.map(rows, transform)
  }

  executeUnprepared(
    sql: string,
    params: ReadonlyArray<unknown>,
    transform: Transform
  ): Effect.Effect<Rows, SqlError.SqlError> {
    // A ROLLBACK that cannot be delivered is no defect: the server rolls back when the connection goes.
    return sql === "ROLLBACK"
      ? Effect.catch(this.execute(sql, params, transform), () => Effect.sync(() => (this.destroy(), [])))
      : this.execute(sql, params, transform)
  }

  executeRaw(sql: string, params: ReadonlyArray<unknown>): Effect.Effect<QueryResult, SqlError.SqlError> {
    return this.run(sql, (done) => {
      this.client.query(
        { text: sql, types: resultTypes, ...(params.length === 0 ? {} : { values: [...params] }) },
        done
      )
    })
  }

  executeValues(
    sql: string,
    params: ReadonlyArray<unknown>
  ): Effect.Effect<ReadonlyArray<ReadonlyArray<unknown>>, SqlError.SqlError> {
    const result = this.run<QueryArrayResult>(sql, (done) => {
      this.client.query({ text: sql, values: [...params], rowMode: "array", types: resultTypes }, done)
    })
    return Effect.map(result, ({ rows }) => rows)
  }

  executeValuesUnprepared(
    sql: string,
    params: ReadonlyArray<unknown>
  ): Effect.Effect<ReadonlyArray<ReadonlyArray<unknown>>, SqlError.SqlError> {
    return this.executeValues(sql, params)
  }

  executeStream(
    sql: string,
    params: ReadonlyArray<unknown>,
    transform: Transform
  ): Stream.Stream<any, SqlError.SqlError> {
    return Stream.fromIterableEffect(this.execute(sql, params, transform))
  }

  /** COMMIT, with the server's response checked: it is ROLLBACK when the transaction had failed before. */
  get commit(): Effect.Effect<void, SqlError.SqlError> {
    return Effect.flatMap(this.executeRaw("COMMIT", []), (result) =>
      result.command === "ROLLBACK"
        ? Effect.fail(connectionLost("the transaction had failed before its COMMIT", "COMMIT"))
        : Effect.void)
  }

  /** False for `pg-native`, whose client has no socket to write to. */
  get takesPipeline(): boolean {
    return socketOf(this.client) !== undefined
  }

  /** From now on the connection belongs to the pipeline. */
  pipeline(isDirect: boolean): Pipeline {
    return new Pipeline(this.client, isDirect, this.limits, () => this.destroy())
  }

  /** Whether the peer is PostgreSQL itself: a pooler has process ids of its own. */
  get isDirect(): Effect.Effect<boolean, SqlError.SqlError> {
    return Effect.map(
      this.execute("SELECT pg_backend_pid() AS pid", [], undefined),
      ([row]) => (row as { readonly pid: number }).pid === processIdOf(this.client)
    )
  }

  /** Ends the session at once: the server rolls back what is open on it. */
  private destroy(): void {
    this.broken = true
    socketOf(this.client)?.destroy()
  }

  private run<R = QueryResult>(
    statement: string,
    send: (done: (cause: Error | null | undefined, result: R) => void) => void
  ): Effect.Effect<R, SqlError.SqlError> {
    return Effect.callback((resume) => {
      const operation = firstWord(statement)
      if (this.broken) return resume(Effect.fail(connectionLost("the connection was lost", operation)))
      const isAutonomous = transactionStatus(this.client) !== "T" && !WITHOUT_OUTCOME.test(operation)
      const endWatch = watchSilence(
        limitsOf(operation, this.limits),
        { processId: this.isPostgres ? processIdOf(this.client) : undefined, statement },
        (why) => {
          this.destroy()
          const outcome = operation === "COMMIT" || isAutonomous ? "; its outcome is unknown" : ""
          resume(Effect.fail(connectionLost(`${operation} ${why}${outcome}`, operation)))
        }
      )
      send((cause, result) => {
        endWatch()
        if (cause == null) return resume(Effect.succeed(result))
        if (endsSession(cause)) this.broken = true
        resume(Effect.fail(classify(cause, operation)))
      })
      // An interrupted statement must not continue inside a transaction that goes on without it.
      return Effect.sync(() => {
        endWatch()
        this.destroy()
      })
    })
  }
}

type Rows = ReadonlyArray<any>
type Transform = (<A extends object>(row: ReadonlyArray<A>) => ReadonlyArray<A>) | undefined

const limitsOf = (operation: string, limits: SilenceLimits): SilenceLimits => {
  if (!INSTANT.test(operation)) return limits
  return { millis: operation === "ROLLBACK" ? Math.min(limits.millis, ROLLBACK_MILLIS) : limits.millis }
}

const firstWord = (sql: string): string => /[a-z]+/i.exec(sql)?.[0].toUpperCase() ?? "query"

/** A part of `pg` that its types lack. Source: pg, lib/connection.js. */
const socketOf = (client: PoolClient): { destroy(): void } | undefined =>
  (client as unknown as { connection?: { stream?: { destroy(): void } } }).connection?.stream
