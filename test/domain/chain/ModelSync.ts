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
import type { ResumeStrategy } from "../../../src/domain/chain/resumeStrategy.ts"
import { cursorOf, resume } from "../../../src/domain/chain/resumeStrategy.ts"
import type { Reorg, RowBatch, Rows, TableEvent } from "../../../src/domain/chain/TableEvent.ts"
import { MAX_CHUNK_BYTES } from "../../../src/domain/ChunkSize.ts"
import type { ModelMessage, ModelRow, ModelServer } from "./ModelServer.ts"
import type { ModelTable, PlacedRow, Strictness } from "./ModelTable.ts"

/** The rows of one message, as the chain rules see them. */
interface ModelBatch extends RowBatch {
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
  private readonly server: ModelServer
  private readonly table: ModelTable
  private readonly options: FollowOptions
  private readonly strictness: () => Strictness

  constructor(server: ModelServer, table: ModelTable, options: FollowOptions, strictness: () => Strictness) {
    this.server = server
    this.table = table
    this.options = options
    this.strictness = strictness
    this.connect()
  }

  /** Loses the connection, and everything in memory except the strategy. */
  cut(): void {
    this.connect()
  }

  crash(): void {
    this.strategy = resume
    this.connect()
  }

  /** Takes up to `messages` messages; commits whenever there are `rows` rows, and the rest at the end. */
  pull(messages: number, rows: number): void {
    for (let i = 0; i < messages && this.parked === undefined; i++) {
      const message = this.server.pull()
      if (message === undefined) break
      this.take(message, rows)
    }
    this.commitIfWorth()
  }

  private connect(): void {
    const { checkpoint } = this.table
    this.server.connect(cursorOf(this.strategy, checkpoint.history))
    this.state = startFollowing(checkpoint, this.options, this.strategy)
    this.begin(firstChunk(checkpoint))
  }

  private begin(chunk: Chunk): void {
    this.chunk = chunk
    this.rows = []
    this.reorgs = []
  }

  private take({ metadata, rows: values }: ModelMessage, rows: number): void {
    const frame = { metadata, batch: values.length === 0 ? undefined : { rows: values.length, values } }
    let step = followFrame<ModelBatch>(this.state, frame)
    if (step._tag === "Verify") step = followFrame<ModelBatch>(this.state, frame, this.server.verdict(step.watermark))
    switch (step._tag) {
      case "Followed":
        this.state = step.state
        for (const event of step.events) this.add(event, rows)
        return
      case "ReconnectFrom":
        this.commitIfWorth()
        this.strategy = step.strategy
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
