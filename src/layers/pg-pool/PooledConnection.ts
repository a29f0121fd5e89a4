import { Effect, Stream } from "effect"
import type { SqlConnection, SqlError } from "effect/sql"
import type { PoolClient, QueryArrayResult, QueryResult } from "pg"
import { from as copyFrom } from "pg-copy-streams"
import { classify, connectionLost, endsSession } from "./classify.ts"

/** Statements that nothing but a lost connection can keep waiting (locks end before), so that no slow server is hit. */
const INSTANT = /^(?:BEGIN|ROLLBACK|COMMIT|SAVEPOINT|RELEASE|INSERT|UPDATE)$/

/**
 * One checked-out connection of the pool, as effect's SQL client wants it, plus COPY.
 *
 * Once `broken`, nothing more is sent: its transaction is over, committed or not, and the pool throws it away.
 */
export class PooledConnection implements SqlConnection.Connection {
  broken = false
  private readonly client: PoolClient
  private readonly stallMillis: number
  private readonly onLost = (): void => {
    this.broken = true
  }

  /** What begins or ends a transaction, or a piece of COPY data, counts as lost when unanswered for `stallMillis`. */
  constructor(client: PoolClient, stallMillis: number) {
    this.client = client
    this.stallMillis = stallMillis
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
      if (params.length === 0) this.client.query(sql, done)
      else this.client.query(sql, [...params], done)
    })
  }

  executeValues(
    sql: string,
    params: ReadonlyArray<unknown>
  ): Effect.Effect<ReadonlyArray<ReadonlyArray<unknown>>, SqlError.SqlError> {
    const result = this.run<QueryArrayResult>(sql, (done) => {
      this.client.query({ text: sql, values: [...params], rowMode: "array" }, done)
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

  /** COMMIT, with the server's answer checked: it says ROLLBACK when the transaction had failed before. */
  get commit(): Effect.Effect<void, SqlError.SqlError> {
    return Effect.flatMap(this.executeRaw("COMMIT", []), (result) =>
      result.command === "ROLLBACK"
        ? Effect.fail(connectionLost("the transaction had failed before its COMMIT", "COMMIT"))
        : Effect.void)
  }

  copyIn(statement: string, pieces: ReadonlyArray<Uint8Array>): Effect.Effect<void, SqlError.SqlError> {
    return Effect.callback((resume) => {
      const stream = this.client.query(copyFrom(statement))
      let settled = false
      const settle = (effect: Effect.Effect<void, SqlError.SqlError>) => {
        if (settled) return
        settled = true
        clearTimeout(stalled)
        resume(effect)
      }
      const fail = (error: SqlError.SqlError) => settle(Effect.fail(error))
      // No PostgreSQL timeout covers a COPY whose peer is gone: without this one it would hang for ever.
      const stalled = setTimeout(() => {
        this.destroy()
        fail(connectionLost("COPY made no progress", "COPY"))
      }, this.stallMillis)
      stream.on("error", (cause) => {
        if (endsSession(cause)) this.destroy()
        fail(classify(cause, "COPY"))
      })
      stream.on("finish", () => settle(Effect.void))
      // One piece in flight: after an error of the server, pg-copy-streams would flush a backlog into a dead stream.
      const pump = (index: number): void => {
        if (settled) return
        stalled.refresh()
        const piece = pieces[index]
        if (piece === undefined) stream.end()
        else stream.write(piece, (cause) => cause == null && pump(index + 1))
      }
      pump(0)
      return Effect.sync(() => {
        settled = true
        clearTimeout(stalled)
        this.destroy()
      })
    })
  }

  /** Ends the session at once: the server rolls back what is open on it. */
  private destroy(): void {
    this.broken = true
    const stream = (this.client as unknown as { connection?: { stream?: { destroy(): void } } }).connection?.stream
    stream?.destroy()
  }

  private run<R = QueryResult>(
    statement: string,
    send: (done: (cause: Error | null | undefined, result: R) => void) => void
  ): Effect.Effect<R, SqlError.SqlError> {
    return Effect.callback((resume) => {
      const operation = firstWord(statement)
      if (this.broken) return resume(Effect.fail(connectionLost("the connection was lost", operation)))
      // A plain timer, because these statements run where nothing may interrupt them.
      const stalled = INSTANT.test(operation)
        ? setTimeout(() => {
          this.destroy()
          const outcome = operation === "COMMIT" ? "; its outcome is unknown" : ""
          resume(Effect.fail(connectionLost(`${operation} was not answered${outcome}`, operation)))
        }, this.stallMillis)
        : undefined
      send((cause, result) => {
        clearTimeout(stalled)
        if (cause == null) return resume(Effect.succeed(result))
        if (endsSession(cause)) this.broken = true
        resume(Effect.fail(classify(cause, operation)))
      })
      // A statement that nobody waits for any more must not go on inside a transaction that goes on without it.
      return Effect.sync(() => {
        clearTimeout(stalled)
        this.destroy()
      })
    })
  }
}

type Rows = ReadonlyArray<any>
type Transform = (<A extends object>(row: ReadonlyArray<A>) => ReadonlyArray<A>) | undefined

const firstWord = (sql: string): string => /[a-z]+/i.exec(sql)?.[0].toUpperCase() ?? "query"
