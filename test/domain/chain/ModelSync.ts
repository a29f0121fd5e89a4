import type { Chunk } from "../../../src/domain/chain/Chunk.ts"
import {
  addEvent,
  addRows,
  closesGroup,
  firstChunk,
  isFull,
  isWorthCommitting,
  nextChunk
} from "../../../src/domain/chain/Chunk.ts"
import type { FollowOptions, FollowState } from "../../../src/domain/chain/followFrame.ts"
import { followFrame, startFollowing } from "../../../src/domain/chain/followFrame.ts"
import { HeldRanges, type SizedBatch } from "../../../src/domain/chain/HeldRanges.ts"
import type { ResumeStrategy } from "../../../src/domain/chain/resumeStrategy.ts"
import { cursorOf, resume } from "../../../src/domain/chain/resumeStrategy.ts"
import type { Reorg, Rows, TableEvent } from "../../../src/domain/chain/TableEvent.ts"
import { MAX_CHUNK_BYTES } from "../../../src/domain/ChunkSize.ts"
import type { ModelMessage, ModelRow, ModelServer } from "./ModelServer.ts"
import type { ModelTable, PlacedRow, Strictness } from "./ModelTable.ts"

/** The rows of one message, as the chain rules see them. */
interface ModelBatch extends SizedBatch {
  readonly values: ReadonlyArray<ModelRow>
}

/** Connections without a commit between them; a search in a history of a few dozen entries needs far fewer. */
const MAX_SEARCH = 40

/** One table's sync without I/O: what the programs do, step by step, so that a schedule can stop it anywhere. */
export class ModelSync {
  parked: { readonly reason: string; readonly oldestIsCanonical: boolean } | undefined
  private strategy: ResumeStrategy = resume
  private state!: FollowState
  private chunk!: Chunk
  /** What the chunk holds beside its bookkeeping. */
  private rows: Array<PlacedRow> = []
  private reorgs: Array<Reorg> = []
  private searched = 0
  /** Undefined where nothing has to wait for confirmations. */
  private held: HeldRanges<ModelBatch> | undefined
  private readonly confirmations: number
  /** The connection was opened behind what waits. */
  private isKept = false
  private readonly server: ModelServer
  private readonly table: ModelTable
  private readonly options: FollowOptions
  private readonly strictness: () => Strictness

  constructor(
    server: ModelServer,
    table: ModelTable,
    options: FollowOptions,
    strictness: () => Strictness,
    confirmations = 0
  ) {
    this.confirmations = confirmations
    this.server = server
    this.table = table
    this.options = options
    this.strictness = strictness
    this.connect()
  }

  /** Loses the connection, and everything in memory except the strategy and what waits for confirmations. */
  cut(): void {
    this.commitIfWorth()
    this.connect(this.held)
  }

  /** As `pull` and `cut`, but the database does not take the last chunk. */
  loseChunk(messages: number, rows: number): void {
    this.takeMessages(messages, rows)
    if (this.parked === undefined) this.connect(this.held)
  }

  crash(): void {
    this.strategy = resume
    this.connect()
  }

  /** Takes up to `messages` messages; commits whenever there are `rows` rows, and the rest at the end. */
  pull(messages: number, rows: number): void {
    this.takeMessages(messages, rows)
    this.commitIfWorth()
  }

  private takeMessages(messages: number, rows: number): void {
    for (let i = 0; i < messages && this.parked === undefined; i++) {
      const message = this.server.pull()
      if (message === undefined) break
      this.take(message, rows)
    }
  }

  /** Asks the source about what waits, as `awaitConfirmations` does. */
  ask(rows: number): void {
    let head: bigint | undefined
    for (;;) {
      const block = this.parked === undefined ? this.held?.candidate(head) : undefined
      if (block === undefined) break
      const verdict = this.server.verdict(block)
      head = this.server.chain.tip?.number
      if (verdict === "orphaned") {
        this.commitIfWorth()
        this.connect()
        break
      }
      const confirmed = verdict === "canonical" && head !== undefined ? this.held!.confirm(block, head) : []
      if (confirmed.length === 0) break
      for (const event of confirmed) this.add(event, rows)
    }
    this.commitIfWorth()
  }

  private connect(kept?: HeldRanges<ModelBatch>): void {
    const { checkpoint: durable } = this.table
    const resumed = this.strategy === resume ? kept?.resume(durable.history.at(-1)) : undefined
    const checkpoint = resumed ?? durable
    this.isKept = resumed !== undefined
    this.held = this.confirmations === 0
      ? undefined
      : resumed === undefined
      ? new HeldRanges(this.confirmations, durable.history.at(-1))
      : kept
    this.server.connect(cursorOf(this.strategy, checkpoint.history))
    this.state = startFollowing(checkpoint, this.options, this.strategy)
    this.begin(firstChunk(durable))
  }

  private begin(chunk: Chunk): void {
    this.chunk = chunk
    this.rows = []
    this.reorgs = []
  }

  private take({ metadata, rows: values }: ModelMessage, rows: number): void {
    const frame = {
      metadata,
      batch: values.length === 0 ? undefined : { rows: values.length, values, sizeBytes: values.length }
    }
    let step = followFrame<ModelBatch>(this.state, frame)
    if (step._tag === "Verify") step = followFrame<ModelBatch>(this.state, frame, this.server.verdict(step.watermark))
    switch (step._tag) {
      case "Followed":
        this.state = step.state
        for (const event of step.events) {
          if (!this.receive(event, rows)) return this.connect()
        }
        return
      case "ReconnectFrom":
        this.commitIfWorth()
        // Where nothing of this connection was written yet, the next one is opened for the same reason.
        // What a connection that began behind what waits found out is about watermarks that are not durable.
        if (this.isKept) this.strategy = resume
        else if (step.strategy !== resume) this.strategy = step.strategy
        this.searched += 1
        if (this.searched > MAX_SEARCH) throw new Error(`it searches for ever: ${step.reason}`)
        return this.connect()
      case "ChainMismatch":
        this.parked = { reason: step.reason, oldestIsCanonical: this.oldestIsCanonical() }
        return
      default:
        throw new Error(step._tag === "Violation" ? step.reason : "a verdict was requested twice")
    }
  }

  /** False where everything is to be asked for again. */
  private receive(event: TableEvent<ModelBatch>, rows: number): boolean {
    const received = this.held?.receive(event) ?? { _tag: "Released" as const, events: [event] }
    if (received._tag === "Split") this.commitIfWorth()
    else for (const one of received.events) this.add(one, rows)
    return received._tag === "Released"
  }

  private add(event: TableEvent<ModelBatch>, rows: number): void {
    if (closesGroup(this.chunk, event)) this.commitIfWorth()
    if (event._tag === "Rows") return this.addRows(event, rows)
    if (event._tag === "Reorg") this.reorgs.push(event)
    if (event._tag === "RangeStarted") this.strategy = resume
    this.chunk = addEvent(this.chunk, event)
  }

  /** Rows of one message may fill several chunks. */
  private addRows({ batch: { values }, range }: Rows<ModelBatch>, rows: number): void {
    for (let from = 0; from < values.length;) {
      const placed = values.slice(from, from + rows - this.chunk.rows).map((row) => ({
        ...row,
        position: this.options.rangeMode ? range.end : BigInt(row.block)
      }))
      this.rows.push(...placed)
      this.chunk = addRows(this.chunk, placed.length, 10 * placed.length, placed.at(-1)?.position)
      from += placed.length
      if (isFull(this.chunk, rows, MAX_CHUNK_BYTES)) this.commitIfWorth()
    }
  }

  private oldestIsCanonical(): boolean {
    const [oldest] = this.table.checkpoint.history
    return oldest !== undefined && this.server.chain.at(oldest.block)?.hash === oldest.hash
  }

  private commitIfWorth(): void {
    if (!isWorthCommitting(this.chunk)) return
    this.table.commit(this.chunk, this.rows, this.reorgs, this.strictness())
    this.begin(nextChunk(this.chunk))
    this.searched = 0
  }
}
