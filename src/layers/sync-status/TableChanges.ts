/** What happens to the rows of the tables, for subscribers that the sync does not wait for. */
import { type Cause, Effect, Queue, Stream } from "effect"
import type { StatusEvent } from "../../domain/StatusEvent.ts"
import { changeOf, stateAfter, type TableChange, type TableState } from "../../domain/TableChange.ts"
import { ChangesMissed, MAX_CHANGES_WAITING } from "../../services/SyncStatus.ts"

/** One run of the stream. */
interface Subscriber {
  readonly queue: Queue.Queue<TableChange, Cause.Done>
  missed: number
}

export class TableChanges {
  /** What the changes so far left each table as. */
  readonly #tables = new Map<string, TableState>()
  readonly #subscribers = new Set<Subscriber>()
  #isEnded = false

  /** Adds what an event of a table did to its rows. */
  observe(table: string, event: StatusEvent): void {
    const before = this.#tables.get(table)
    const change = changeOf(before, table, event)
    if (change === undefined) return
    this.#tables.set(table, stateAfter(before, event, change))
    for (const subscriber of this.#subscribers) offer(subscriber, change)
  }

  /** Forgets tables that are not among `tables`: one that comes back begins with a baseline. */
  retain(tables: ReadonlyMap<string, unknown>): void {
    for (const table of this.#tables.keys()) if (!tables.has(table)) this.#tables.delete(table)
  }

  /** Ends every run of the stream, once it has delivered what waits. */
  end(): void {
    this.#isEnded = true
    for (const { queue } of this.#subscribers) Queue.endUnsafe(queue)
  }

  /** The baseline of each table that is open, and every later change. */
  readonly stream: Stream.Stream<TableChange, ChangesMissed> = Stream.unwrap(
    Effect.map(
      Effect.acquireRelease(
        Effect.map(Queue.bounded<TableChange, Cause.Done>(MAX_CHANGES_WAITING), (queue) => this.#subscribe(queue)),
        (subscriber) => Effect.sync(() => this.#subscribers.delete(subscriber))
      ),
      (subscriber) => Stream.concat(Stream.fromQueue(subscriber.queue), failWhereMissed(subscriber))
    )
  )

  #subscribe(queue: Subscriber["queue"]): Subscriber {
    const subscriber: Subscriber = { queue, missed: 0 }
    for (const { baseline } of this.#tables.values()) offer(subscriber, baseline)
    if (this.#isEnded) Queue.endUnsafe(queue)
    this.#subscribers.add(subscriber)
    return subscriber
  }
}

/** Nothing is delivered behind a gap: after the first change that has no room the others are counted. */
const offer = (subscriber: Subscriber, change: TableChange): void => {
  if (Queue.offerUnsafe(subscriber.queue, change)) return
  subscriber.missed += 1
  Queue.endUnsafe(subscriber.queue)
}

const failWhereMissed = (subscriber: Subscriber): Stream.Stream<never, ChangesMissed> =>
  Stream.suspend(() =>
    subscriber.missed === 0 ? Stream.empty : Stream.fail(new ChangesMissed({ missed: subscriber.missed }))
  )
