/**
 * The ranges of one connection that wait for their confirmations: enough blocks on top of them, on the same chain.
 *
 * Events leave in the order in which they came, a whole prefix at a time, so that the checkpoint of each that leaves names no
 * watermark of one that waits. It is the end of a range that is confirmed: a range that contains the tip waits as a whole.
 */
import type { HeldFigures } from "../StatusEvent.ts"
import type { BlockRange } from "./BlockRange.ts"
import type { Checkpoint } from "./Checkpoint.ts"
import type { RangeCompleted, Reorg, RowBatch, TableEvent } from "./TableEvent.ts"
import { isSameWatermark, type Watermark } from "./watermarks.ts"

/** A record batch whose memory is counted. */
export interface SizedBatch extends RowBatch {
  readonly sizeBytes: number
}

/** What one event leads to. */
export type Received<Batch extends SizedBatch> =
  /** `events` are to be written now; `dropped` were replaced before they were written, so nothing of them is left. */
  | {
    readonly _tag: "Released"
    readonly events: ReadonlyArray<TableEvent<Batch>>
    readonly dropped: HeldFigures | undefined
  }
  /** A part of what waits was replaced, and the rest is not sent again: everything is to be asked for again. */
  | { readonly _tag: "Split"; readonly reason: string }

interface HeldRange<Batch extends SizedBatch> {
  readonly range: BlockRange
  readonly events: Array<TableEvent<Batch>>
  rows: number
  bytes: number
}

const nothing: HeldFigures = { blocks: 0n, rows: 0, bytes: 0 }
/** Memory of an event besides its rows and the history of its checkpoint. */
const EVENT_BYTES = 512
const HISTORY_ENTRY_BYTES = 8
/** A range of more blocks is of a backlog, however it ends. */
const LONG_RANGE_BLOCKS = 100n

/** The memory that an event takes, in bytes. */
export const bytesOf = (event: TableEvent<SizedBatch>): number =>
  EVENT_BYTES +
  (event._tag === "Rows" ? event.batch.sizeBytes : event.checkpoint.history.length * HISTORY_ENTRY_BYTES)

/** What of one connection waits. Nothing here is durable: an attempt that ends forgets it. */
export class HeldRanges<Batch extends SizedBatch> {
  /** Blocks that must be on top of the end of a range; at least 1. */
  readonly confirmations: bigint
  /** Ascending; the last one may be in progress. */
  readonly #ranges: Array<HeldRange<Batch>> = []
  /** The end of the newest range whose rows may be written; before the first one, the durable watermark. */
  #released: Watermark | undefined
  /** The range in progress is confirmed: the rest of it is not held. */
  #isPassing = false
  #held = nothing

  constructor(confirmations: number, durable: Watermark | undefined) {
    this.confirmations = BigInt(confirmations)
    this.#released = durable
  }

  get held(): HeldFigures {
    return this.#held
  }

  get isEmpty(): boolean {
    return this.#ranges.length === 0
  }

  /** The newest range that waits; undefined where none does. */
  get newest(): { readonly range: BlockRange; readonly bytes: number } | undefined {
    return this.#ranges.at(-1)
  }

  /** Takes the next event of the connection. */
  receive(event: TableEvent<Batch>): Received<Batch> {
    switch (event._tag) {
      case "Reorg":
        return this.#rewind(event)
      case "RangeStarted": {
        // The server names the end of the range as a block of its chain, and the ranges before as what it is built on.
        const events = this.#release(this.#ranges.filter(({ range }) => this.#isDeep(range, event.range.end)).length)
        this.#isPassing = false
        this.#ranges.push({ range: event.range, events: [], rows: 0, bytes: 0 })
        this.#hold(event, event.range.end - event.range.start + 1n)
        return released(events)
      }
      default:
        if (this.#isPassing) return released([event])
        this.#hold(event, 0n)
        return released([])
    }
  }

  /**
   * The source has `block` in its chain, which reaches up to `head`: returns what that confirms. Nothing where `block` is no
   * longer the end of a range that waits.
   */
  confirm(block: Watermark, head: bigint): ReadonlyArray<TableEvent<Batch>> {
    const index = this.#ranges.findIndex(({ range }) => isSameWatermark(endOf(range), block))
    const confirmed = this.#ranges[index]
    if (confirmed === undefined || !this.#isDeep(confirmed.range, head)) return []
    this.#isPassing = index === this.#ranges.length - 1
    return this.#release(index + 1)
  }

  /**
   * The block to ask the source about: the newest one that a chain up to `head` confirms, the oldest one where it confirms
   * none, or is not known. Undefined where nothing waits.
   */
  candidate(head: bigint | undefined): Watermark | undefined {
    const deep = head === undefined ? undefined : this.#ranges.findLast(({ range }) => this.#isDeep(range, head))
    const found = deep ?? this.#ranges[0]
    return found === undefined ? undefined : endOf(found.range)
  }

  /** Whether a chain that reaches up to `head` confirms more than was released. A range of a backlog counts as a whole. */
  isBehind(head: bigint): boolean {
    return this.#ranges.some(({ range }) =>
      this.#isDeep(range, head) ||
      (range.end - range.start >= LONG_RANGE_BLOCKS && range.start + this.confirmations <= head)
    )
  }

  /**
   * Prepares to go on with another connection, which is asked for what follows the complete ranges that wait: returns the
   * checkpoint to open it from. Undefined where none waits, or where `durable` is not what they follow; then they are void.
   */
  resume(durable: Watermark | undefined): Checkpoint | undefined {
    if (this.#isPassing || !isSameWatermark(durable, this.#released)) return undefined
    const isComplete = (range: HeldRange<Batch>) => range.events.at(-1)?._tag === "Watermark"
    const complete = this.#ranges.filter(isComplete).length
    this.#remove(complete, this.#ranges.length - complete)
    const last = this.#ranges.at(-1)?.events.at(-1)
    return last?._tag === "Watermark" ? last.checkpoint : undefined
  }

  /** Whether `block` is one that was received and is not released. */
  waitsFor(block: Watermark): boolean {
    return this.#ranges.some(({ range }) => isSameWatermark(endOf(range), block))
  }

  #isDeep(range: BlockRange, head: bigint): boolean {
    return range.end + this.confirmations <= head
  }

  #hold(event: TableEvent<Batch>, blocks: bigint): void {
    const last = this.#ranges.at(-1)
    if (last === undefined) throw new Error("rows came before their range")
    const [rows, bytes] = [event._tag === "Rows" ? event.batch.rows : 0, bytesOf(event)]
    last.events.push(event)
    last.rows += rows
    last.bytes += bytes
    this.#count(1, { blocks, rows, bytes })
  }

  #release(count: number): ReadonlyArray<TableEvent<Batch>> {
    const ranges = this.#remove(0, count)
    const last = ranges.at(-1)
    if (last !== undefined) this.#released = endOf(last.range)
    return ranges.flatMap(({ events }) => events)
  }

  #remove(from: number, count: number): ReadonlyArray<HeldRange<Batch>> {
    const removed = this.#ranges.splice(from, count)
    for (const { bytes, range, rows } of removed) this.#count(-1, { blocks: blocksOf(range), rows, bytes })
    return removed
  }

  #count(sign: 1 | -1, { blocks, bytes, rows }: HeldFigures): void {
    const held = this.#held
    this.#held = {
      blocks: held.blocks + BigInt(sign) * blocks,
      rows: held.rows + sign * rows,
      bytes: held.bytes + sign * bytes
    }
  }

  /** Invariant I1: what is dropped here was never written, and no event that leaves later names it. */
  #rewind(event: Reorg): Received<Batch> {
    const { deleteFrom, watermark } = event
    const isWritten = this.#released !== undefined && watermark !== undefined && watermark.block < this.#released.block
    if (deleteFrom === undefined || watermark === undefined || isWritten) {
      const dropped = this.#drop(0)
      // What waited was not there for anybody to lose.
      const reorg = isWritten ? { ...event, replaced: this.#released } : event
      this.#released = watermark
      this.#isPassing = false
      // What replaces the rows waits: those that are known to be orphaned must not be shown until it comes.
      const events = watermark === undefined ? [reorg] : [reorg, completedAgain(reorg, watermark)]
      return { _tag: "Released", events, dropped }
    }
    const first = this.#ranges.findIndex(({ range }) => range.end >= deleteFrom)
    const kept = first < 0 ? this.#ranges.length : first
    const below = kept === 0 ? this.#released : endOf(this.#ranges[kept - 1]!.range)
    if (!isSameWatermark(below, watermark)) {
      const reason =
        `blocks from ${deleteFrom} on were replaced while a range that contains them waited for confirmations`
      return { _tag: "Split", reason }
    }
    return { _tag: "Released", events: [], dropped: this.#drop(kept) }
  }

  #drop(from: number): HeldFigures | undefined {
    const before = this.#held
    if (this.#remove(from, this.#ranges.length - from).length === 0) return undefined
    const { blocks, bytes, rows } = this.#held
    return { blocks: before.blocks - blocks, rows: before.rows - rows, bytes: before.bytes - bytes }
  }
}

const released = <Batch extends SizedBatch>(events: ReadonlyArray<TableEvent<Batch>>): Received<Batch> => ({
  _tag: "Released",
  events,
  dropped: undefined
})

const endOf = ({ end, hash }: BlockRange): Watermark => ({ block: end, hash })
const blocksOf = ({ end, start }: BlockRange): bigint => end - start + 1n

/** The watermark that a reorg goes back to, as an event: with it the deletion is worth a transaction of its own. */
const completedAgain = ({ checkpoint, range: { network } }: Reorg, { block, hash }: Watermark): RangeCompleted => ({
  _tag: "Watermark",
  range: { network, start: block, end: block, hash, prevHash: undefined, timestamp: undefined },
  checkpoint
})
