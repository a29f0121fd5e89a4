/** The throughput of each table, and of all that were synced. */
import type { StatusEvent } from "../../domain/StatusEvent.ts"
import { noThroughput, Throughput } from "../../domain/Throughput.ts"
import type { SyncThroughput } from "../../services/SyncStatus.ts"

export class Throughputs {
  readonly #sinceMillis: number
  readonly #all: Throughput
  readonly #tables = new Map<string, Throughput>()

  constructor(atMillis: number) {
    this.#sinceMillis = atMillis
    this.#all = new Throughput(atMillis)
  }

  /** Adds what an event of a table committed. */
  observe(table: string, event: StatusEvent, atMillis: number): void {
    if (event._tag !== "Committed" || event.rowsAdded === 0) return
    const ofTable = this.#tables.get(table) ?? new Throughput(this.#sinceMillis)
    this.#tables.set(table, ofTable)
    for (const one of [this.#all, ofTable]) one.add(event.rowsAdded, event.bytes, atMillis)
  }

  /** Forgets tables that are not among `tables`. */
  retain(tables: ReadonlyMap<string, unknown>): void {
    for (const table of this.#tables.keys()) if (!tables.has(table)) this.#tables.delete(table)
  }

  report(tables: ReadonlyArray<string>, nowMillis: number): SyncThroughput {
    return {
      all: this.#all.report(nowMillis),
      tables: new Map(tables.map((table) => [table, this.#tables.get(table)?.report(nowMillis) ?? noThroughput]))
    }
  }
}
