/** What waits for confirmations from one connection of a table to the next. */
import type { ColumnBatch } from "../../domain/arrow/ColumnBatch.ts"
import type { Checkpoint } from "../../domain/chain/Checkpoint.ts"
import type { HeldRanges } from "../../domain/chain/HeldRanges.ts"
import type { Watermark } from "../../domain/chain/watermarks.ts"
import type { HeldMemory } from "./HeldMemory.ts"

/**
 * A connection that ends by itself leaves here what waits, so that the next one continues behind it. Without that, connections
 * that live shorter than confirmations take would never bring a row: what is asked for again comes as one range that ends at
 * the tip. It stays counted in the memory of all tables.
 */
export class KeptRanges {
  readonly #memory: HeldMemory
  #kept: { readonly ranges: HeldRanges<ColumnBatch>; readonly bytes: number } | undefined

  constructor(memory: HeldMemory) {
    this.#memory = memory
  }

  keep(ranges: HeldRanges<ColumnBatch>, bytes: number): void {
    this.drop()
    this.#kept = { ranges, bytes }
  }

  /** The checkpoint to continue from; undefined where nothing is kept, or where it does not follow `durable`. */
  resume(durable: Watermark | undefined): Checkpoint | undefined {
    const checkpoint = this.#kept?.ranges.resume(durable)
    if (checkpoint === undefined) this.drop()
    return checkpoint
  }

  take(): { readonly ranges: HeldRanges<ColumnBatch>; readonly bytes: number } | undefined {
    const kept = this.#kept
    this.#kept = undefined
    return kept
  }

  /** Forgets it, and gives its memory back. */
  drop(): void {
    const bytes = this.take()?.bytes ?? 0
    if (bytes > 0) this.#memory.take(-bytes)
  }
}
