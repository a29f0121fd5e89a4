/** Statements and COPY data on one connection of `pg`, sent without awaiting their responses. */
import { Effect } from "effect"
import type { SqlError } from "effect/sql"
import type { PoolClient } from "pg"
import type { Guards, PgAnswer, PgPipeline, PgResult, SendOptions } from "../../services/PgPool.ts"
import { classify, connectionLost } from "./classify.ts"
import { secondsSince, type SilenceLimits, watchSilence } from "./Silence.ts"

/** Bytes that may wait for the network before a writer must wait. Measured: more is slower, and half as much too. */
const MAX_UNSENT_BYTES = 2 * 1024 * 1024

/** Shape: `c`, int32 length. Source: PostgreSQL, doc "Message Formats", `CopyDone`. */
const COPY_DONE = Buffer.from([0x63, 0, 0, 0, 4])

/** A text that is not answered yet. It is in the queue of `pg`, so that the driver passes the responses to it. */
class Text {
  readonly statements: string
  readonly rows: Array<ReadonlyArray<string | null>> = []
  /** One per statement of the text that was executed. */
  readonly tags: Array<string> = []
  readonly guards: Guards
  isCopying = false
  isDone = false
  readonly #events: TextEvents

  constructor(statements: string, guards: Guards, events: TextEvents) {
    this.statements = statements
    this.guards = guards
    this.#events = events
  }

  /** The text was written already: nothing is left to send when its turn comes. */
  submit(): void {}
  handleRowDescription(): void {}
  handlePortalSuspended(): void {}
  handleEmptyQuery(): void {}
  handleCopyInResponse(): void {
    this.isCopying = true
    this.#events.progressed()
  }
  handleDataRow({ fields }: { readonly fields: ReadonlyArray<string | null> }): void {
    this.rows.push(fields)
  }
  handleCommandComplete({ text }: { readonly text: string }): void {
    this.tags.push(text)
    this.#events.progressed()
  }
  handleReadyForQuery(): void {
    this.isDone = true
    this.#events.answered()
  }
  handleError(cause: unknown): void {
    this.#events.failed(cause, this)
  }
}

interface TextEvents {
  readonly progressed: () => void
  readonly answered: () => void
  readonly failed: (cause: unknown, text: Text) => void
}

/** Parts of `pg` that its types lack; the status exists since 8.21. */
interface ClientInternals {
  readonly getTransactionStatus: () => "I" | "T" | "E" | null
  readonly processID: number | null
}

/** `I` outside of a transaction, `T` inside, `E` inside of a failed one. */
export const transactionStatus = (client: PoolClient): "I" | "T" | "E" | null =>
  (client as unknown as ClientInternals).getTransactionStatus()

export const processIdOf = (client: PoolClient): number | undefined =>
  (client as unknown as ClientInternals).processID ?? undefined

interface Socket {
  readonly cork: () => void
  readonly uncork: () => void
  readonly write: (bytes: Uint8Array, written?: () => void) => boolean
}

/**
 * Invariant I6: a pipeline that is not clean must be closed with its connection.
 *
 * A connection that accepts no byte and sends no response for the time of its limits counts as lost: no timeout of PostgreSQL
 * covers a COPY. Where a deletion may take long, the server's view of the session is checked.
 */
export class Pipeline implements PgPipeline {
  readonly isDirect: boolean
  readonly #client: PoolClient
  readonly #limits: SilenceLimits
  readonly #onFailure: () => void
  readonly #texts: Array<Text> = []
  readonly #waiters = new Set<() => void>()
  #unsentBytes = 0
  #isCopyOpen = false
  #corked = false
  #limitedWaiters = 0
  #stalled: NodeJS.Timeout | undefined
  #failure: { readonly error: SqlError.SqlError; readonly guard: string | undefined } | undefined

  /** `onFailure` must close the connection: responses after the failure are not awaited. */
  constructor(client: PoolClient, isDirect: boolean, limits: SilenceLimits, onFailure: () => void) {
    this.isDirect = isDirect
    this.#client = client
    this.#limits = limits
    this.#onFailure = onFailure
  }

  /** No transaction is open and no response is missing: others may use the connection. */
  get isClean(): boolean {
    return this.#isSettled && transactionStatus(this.#client) === "I"
  }

  /** Waits for missing responses, but not for that of an unfinished COPY. */
  get answered(): Effect.Effect<void, SqlError.SqlError> {
    const unfinished = this.#isCopyOpen ? 1 : 0
    return this.#until(() => this.#texts.length <= unfinished && this.#failure === undefined, true)
  }

  get #isSettled(): boolean {
    return this.#texts.length === 0 && this.#failure === undefined
  }

  send = (statements: string, { endsInCopy = false, guards = {} }: SendOptions = {}): PgAnswer => {
    this.#isCopyOpen = endsInCopy
    const text = new Text(statements, guards, {
      progressed: () => this.#wake(),
      answered: () => this.#answered(),
      failed: (cause, failed) => this.#fail(classify(cause, "transaction"), guardOf(cause, failed))
    })
    this.#texts.push(text)
    // Only one at a time is in the queue of `pg`, which warns of more.
    if (this.#texts.length === 1) this.#client.query(text)
    this.#write(queryMessage(statements))
    const settled = (isSettled: () => boolean, limited: boolean) =>
      Effect.map(this.#until(isSettled, limited), (): PgResult => text)
    return {
      // A large deletion before the COPY has no time limit.
      copying: settled(() => text.isCopying || text.isDone, false),
      done: settled(() => text.isDone, true)
    }
  }

  copyData = (bytes: Uint8Array, written: () => void): void => {
    if (this.#failure !== undefined) return written()
    const header = Buffer.allocUnsafe(5)
    header[0] = 0x64
    header.writeInt32BE(4 + bytes.length, 1)
    this.#write(header)
    this.#unsentBytes += bytes.length
    this.#write(bytes, () => {
      this.#unsentBytes -= bytes.length
      written()
      this.#wake()
    })
  }

  copyDone = (): void => {
    this.#isCopyOpen = false
    this.#write(COPY_DONE)
  }

  get drained(): Effect.Effect<void, SqlError.SqlError> {
    if (this.#failure !== undefined) return Effect.fail(this.#failure.error)
    const isDrained = () => this.#unsentBytes < MAX_UNSENT_BYTES && this.#failure === undefined
    return isDrained() ? Effect.void : this.#until(isDrained, true)
  }

  failedGuard = (error: SqlError.SqlError): string | undefined =>
    this.#failure?.error === error ? this.#failure.guard : undefined

  /** Closes a connection that is lost or abandoned. */
  close(reason: string): void {
    this.#fail(connectionLost(reason, "transaction"), undefined)
  }

  #answered(): void {
    this.#texts.shift()
    const [next] = this.#texts
    if (next !== undefined) this.#client.query(next)
    this.#wake()
  }

  #fail(error: SqlError.SqlError, guard: string | undefined): void {
    // Everything sent after the failure fails because of it: only the first cause counts.
    if (this.#failure !== undefined) return
    this.#failure = { error, guard }
    this.#onFailure()
    this.#wake()
  }

  #wake(): void {
    this.#stalled?.refresh()
    for (const waiter of this.#waiters) waiter()
  }

  #until(isSettled: () => boolean, limited: boolean): Effect.Effect<void, SqlError.SqlError> {
    return Effect.callback((resume) => {
      const check = (): void => {
        const settled = isSettled()
        if (!settled && this.#failure === undefined) return
        stop()
        // A response that came before the failure is valid.
        resume(settled ? Effect.void : Effect.fail(this.#failure!.error))
      }
      const stop = (): void => {
        if (!this.#waiters.delete(check)) return
        endWatch?.()
        if (limited) this.#limit(-1)
      }
      this.#waiters.add(check)
      const endWatch = limited ? undefined : this.#watch()
      if (limited) this.#limit(1)
      check()
      return Effect.sync(stop)
    })
  }

  /** For statements that may take long: checks the session at the server. */
  #watch(): () => void {
    const statement = this.#texts[0]?.statements ?? ""
    const processId = this.isDirect ? processIdOf(this.#client) : undefined
    return watchSilence(
      this.#limits,
      { processId, statement },
      (why) => this.close(`a deletion ${why}; the transaction is rolled back`)
    )
  }

  /** The time limit runs while at least one limited wait is pending. */
  #limit(change: 1 | -1): void {
    this.#limitedWaiters += change
    if (this.#limitedWaiters === 0) clearTimeout(this.#stalled)
    else if (this.#limitedWaiters === change) {
      this.#stalled = setTimeout(
        () => this.close(this.#stall(this.#limits.millis)),
        this.#limits.millis
      )
    }
  }

  /** Names the unanswered statement, and the outcome of the transaction. */
  #stall(millis: number): string {
    const [first] = this.#texts
    const isEnding = first !== undefined && endsTransaction(first)
    const statement = first === undefined || first.isCopying ? "COPY" : isEnding ? "COMMIT" : "BEGIN"
    const outcome = this.#texts.some(endsTransaction)
      ? "the outcome of the transaction is unknown"
      : "the transaction is rolled back"
    return `${statement} was not answered for ${secondsSince(performance.now() - millis)}; ${outcome}`
  }

  /** Bytes written in one turn of the event loop are sent together. */
  #write(bytes: Uint8Array, written?: () => void): void {
    if (this.#failure !== undefined) return written?.()
    const socket = this.#socket
    if (!this.#corked) {
      this.#corked = true
      socket.cork()
      process.nextTick(() => {
        this.#corked = false
        socket.uncork()
      })
    }
    socket.write(bytes, written)
  }

  get #socket(): Socket {
    return (this.#client as unknown as { connection: { stream: Socket } }).connection.stream
  }
}

const endsTransaction = ({ statements }: Text): boolean => statements.endsWith("COMMIT")

const DIVISION_BY_ZERO = "22012"

/** The name of the statement of a text that divided by zero; undefined where it is not a guard. */
const guardOf = (cause: unknown, { guards, tags }: Text): string | undefined =>
  codeOf(cause) === DIVISION_BY_ZERO
    ? Object.keys(guards).find((name) => guards[name] === tags.length)
    : undefined

const codeOf = (cause: unknown): unknown => (cause as { readonly code?: unknown } | null)?.code

/** Shape: `Q`, int32 length, text, NUL. Source: PostgreSQL, doc "Message Formats", `Query`. */
const queryMessage = (text: string): Buffer => {
  const length = Buffer.byteLength(text)
  const message = Buffer.allocUnsafe(length + 6)
  message[0] = 0x51
  message.writeInt32BE(length + 5, 1)
  message.write(text, 5)
  message[length + 5] = 0
  return message
}
