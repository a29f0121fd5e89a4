import type { Approach } from "../../../src/domain/chain/approach.ts"
import { cursorOf, resume } from "../../../src/domain/chain/approach.ts"
import type { Chunk, Part } from "../../../src/domain/chain/Chunk.ts"
import { addPart, closesGroup, emptyChunk, firstChunk, isWorthCommitting } from "../../../src/domain/chain/Chunk.ts"
import type { FollowOptions, FollowState, Rewind, Step } from "../../../src/domain/chain/follow.ts"
import { follow, startFollowing } from "../../../src/domain/chain/follow.ts"
import type { ModelMessage, ModelServer } from "./ModelServer.ts"
import { encodeRows, type ModelTable, type Strictness } from "./ModelTable.ts"

/** Connections without a commit between them; a search in a history of a few dozen entries needs far fewer. */
const MAX_SEARCH = 40

/** One table's sync without I/O: what the programs do, step by step, so that a schedule can stop it anywhere. */
export class ModelSync {
  parked: { readonly reason: string; readonly oldestIsCanonical: boolean } | undefined
  private approach: Approach = resume
  private state!: FollowState
  private chunk!: Chunk
  private rewinds: Array<Rewind> = []
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

  /** The connection is lost; what is in memory but for the approach is too. */
  cut(): void {
    this.connect()
  }

  crash(): void {
    this.approach = resume
    this.connect()
  }

  /** Takes up to `messages` messages, committing whenever `rows` rows are in hand, and what there is in the end. */
  pull(messages: number, rows: number): void {
    for (let i = 0; i < messages && this.parked === undefined; i++) {
      const message = this.server.pull()
      if (message === undefined) break
      this.take(message, rows)
    }
    this.commitIfWorth()
  }

  private connect(): void {
    const { known } = this.table
    this.server.connect(cursorOf(this.approach, known.history))
    this.state = startFollowing(known, this.options, this.approach)
    this.chunk = firstChunk(known)
    this.rewinds = []
  }

  private take(message: ModelMessage, rows: number): void {
    const { metadata } = message
    let step: Step = follow(this.state, metadata, message.rows.length)
    if (step._tag === "Verify") {
      step = follow(this.state, metadata, message.rows.length, this.server.verdict(step.watermark))
    }
    switch (step._tag) {
      case "Advance":
        return this.advance(step, message, rows)
      case "Reconnect":
        this.commitIfWorth()
        this.approach = step.approach
        this.searched += 1
        if (this.searched > MAX_SEARCH) throw new Error(`it searches for ever: ${step.reason}`)
        return this.connect()
      case "AnotherChain":
        this.parked = { reason: step.reason, oldestIsCanonical: this.oldestIsCanonical() }
        return
      default:
        throw new Error(step._tag === "Breach" ? step.reason : "a verdict was asked for twice")
    }
  }

  private advance(step: Extract<Step, { _tag: "Advance" }>, message: ModelMessage, rows: number): void {
    const parts: Array<Part> = step.events.map((event) =>
      event._tag === "Rewind"
        ? { _tag: "Rewind", rewind: event, known: step.state }
        : event._tag === "Range"
        ? { ...event, known: step.state, endIsTold: message.metadata?.complete !== undefined }
        : { ...event, known: step.state }
    )
    if (parts.some((part) => part._tag === "Range")) this.approach = resume
    if (message.rows.length > 0) {
      const { end } = step.state.current!
      const placed = message.rows.map((row) => ({
        ...row,
        position: this.options.rangeMode ? end : BigInt(row.block)
      }))
      parts.push({ _tag: "Rows", bytes: encodeRows(placed), rows: placed.length })
    }
    if (step.completed !== undefined) {
      parts.push({ _tag: "Watermark", range: step.completed.range, known: step.completed.state })
    }
    this.state = step.completed?.state ?? step.state
    for (const part of parts) this.add(part, rows)
  }

  private add(part: Part, rows: number): void {
    if (closesGroup(this.chunk, part)) this.commitIfWorth()
    if (part._tag === "Rewind") this.rewinds.push(part.rewind)
    this.chunk = addPart(this.chunk, part)
    if (this.chunk.rows >= rows) this.commitIfWorth()
  }

  private oldestIsCanonical(): boolean {
    const [oldest] = this.table.known.history
    return oldest !== undefined && this.server.chain.at(oldest.block)?.hash === oldest.hash
  }

  private commitIfWorth(): void {
    if (!isWorthCommitting(this.chunk)) return
    this.table.commit(this.chunk, this.rewinds, this.strictness())
    const { history, network, origin, unverifiedFrom } = this.chunk.known
    this.table.known = { history, network, origin, unverifiedFrom }
    this.chunk = emptyChunk(this.table.known)
    this.rewinds = []
    this.searched = 0
  }
}
