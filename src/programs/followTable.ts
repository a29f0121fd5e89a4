import { Effect, Result, Schema, Stream } from "effect"
import type { ColumnBatch } from "../domain/arrow/ColumnBatch.ts"
import type { DecoderState } from "../domain/arrow/decodeFrame.ts"
import { decodeFrame, noSchema } from "../domain/arrow/decodeFrame.ts"
import { decompress } from "../domain/arrow/decompress.ts"
import type { MalformedArrow } from "../domain/arrow/MalformedArrow.ts"
import type { Approach } from "../domain/chain/approach.ts"
import type { BlockRange } from "../domain/chain/BlockRange.ts"
import type { Part } from "../domain/chain/Chunk.ts"
import type { ChainEvent, FollowOptions, FollowState, Known, Step, Verdict } from "../domain/chain/follow.ts"
import { follow, startFollowing } from "../domain/chain/follow.ts"
import type { MalformedMetadata, StreamMetadata } from "../domain/chain/StreamMetadata.ts"
import { parseStreamMetadata } from "../domain/chain/StreamMetadata.ts"
import type { Watermark } from "../domain/chain/watermarks.ts"
import type { FlightData } from "../domain/flight/FlightData.ts"
import type { CopyPlan, EncodeError, RowCursor } from "../domain/postgres/encodeCopy.ts"
import { outputOf } from "../domain/postgres/FieldWriter.ts"
import { makeRowEncoder } from "../domain/postgres/RowEncoder.ts"

/** This connection cannot go on; the next one is opened as `approach` says. Nothing was deleted. */
export class OtherApproach extends Schema.TaggedError<OtherApproach>()("OtherApproach", { reason: Schema.String }) {
  readonly approach: Approach
  constructor(approach: Approach, reason: string) {
    super({ reason })
    this.approach = approach
  }
  override get message() {
    return this.reason
  }
}

export class ProtocolBreach extends Schema.TaggedError<ProtocolBreach>()("ProtocolBreach", { reason: Schema.String }) {
  override get message() {
    return this.reason
  }
}

export class AnotherChain extends Schema.TaggedError<AnotherChain>()("AnotherChain", { reason: Schema.String }) {
  override get message() {
    return this.reason
  }
}

export type FollowError =
  | OtherApproach
  | ProtocolBreach
  | AnotherChain
  | MalformedArrow
  | MalformedMetadata
  | EncodeError

export interface Following {
  readonly known: Known
  readonly options: FollowOptions
  readonly approach: Approach
  readonly plan: CopyPlan
  /** Whether a block is in the server's canonical chain. */
  readonly verify: (network: string, block: Watermark) => Effect.Effect<Verdict>
}

/** Most bytes of one piece that holds several rows: a chunk closes between pieces, so they bound how far it overshoots. */
const PIECE_BYTES = 256 * 1024

/** The corridor of one connection: messages in, parts of chunks out, encoded. */
export const followTable = <E>(
  frames: Stream.Stream<FlightData, E>,
  following: Following
): Stream.Stream<Part, E | FollowError> => {
  const { approach, known, options } = following
  const start: State = { decoder: noSchema, chain: startFollowing(known, options, approach), rows: undefined }
  return frames.pipe(
    Stream.mapAccumEffect(() => start, (state, frame) => takeFrame(following, state, frame)),
    // One element per pull: a batch of parts handed on together would be held in memory together.
    Stream.rechunk(1)
  )
}

interface State {
  readonly decoder: DecoderState
  readonly chain: FollowState
  /** Where in the current range the rows stand. */
  readonly rows: RowCursor | undefined
}

const takeFrame = Effect.fnUntraced(function*(following: Following, state: State, frame: FlightData) {
  const { batch, state: decoder } = yield* Effect.fromResult(decodeFrame(state.decoder, frame, { decompress }))
  const metadata = yield* Effect.fromResult(parseStreamMetadata(frame.appMetadata))
  const step = yield* judge(following, state.chain, metadata, batch?.rows ?? 0)
  const begins = step.events.some((event) => event._tag === "Range")
  const parts: Array<Part> = step.events.map((event) => partOf(event, step.state, metadata))
  let rows = begins ? undefined : state.rows
  if (batch !== undefined && batch.rows > 0) {
    const encoded = yield* Effect.fromResult(encodePieces(following.plan, batch, step.state.current!, rows))
    parts.push(...encoded.parts)
    rows = encoded.cursor
  }
  if (step.completed !== undefined) {
    parts.push({ _tag: "Watermark", range: step.completed.range, known: knownOf(step.completed.state) })
  }
  return [{ decoder, chain: step.completed?.state ?? step.state, rows }, parts] as const
})

/** What the chain rules make of one message; a block they doubt is looked up first. */
const judge = Effect.fnUntraced(function*(
  { verify }: Following,
  chain: FollowState,
  metadata: StreamMetadata | undefined,
  rows: number
) {
  let step: Step = follow(chain, metadata, rows)
  if (step._tag === "Verify") {
    const verdict = yield* verify(metadata!.ranges[0]!.network, step.watermark)
    step = follow(chain, metadata, rows, verdict)
  }
  switch (step._tag) {
    case "Advance":
      return step
    case "Reconnect":
      return yield* new OtherApproach(step.approach, step.reason)
    case "AnotherChain":
      return yield* new AnotherChain({ reason: step.reason })
    case "Breach":
      return yield* new ProtocolBreach({ reason: step.reason })
    case "Verify":
      return yield* Effect.die(new Error("I2: a verdict was asked for twice"))
  }
})

const partOf = (event: ChainEvent, state: FollowState, metadata: StreamMetadata | undefined): Part => {
  const known = knownOf(state)
  switch (event._tag) {
    case "Rewind":
      return { _tag: "Rewind", rewind: event, known }
    case "Watermark":
      return { ...event, known }
    case "Range":
      return { ...event, known, endIsTold: metadata?.complete !== undefined }
  }
}

const knownOf = ({ history, network, origin, unverifiedFrom }: FollowState): Known => ({
  history,
  network,
  origin,
  unverifiedFrom
})

const encodePieces = (
  plan: CopyPlan,
  batch: ColumnBatch,
  range: BlockRange,
  cursor: RowCursor | undefined
): Result.Result<{ parts: Array<Part>; cursor: RowCursor | undefined }, EncodeError> =>
  Result.gen(function*() {
    const parts: Array<Part> = []
    const bound = yield* makeRowEncoder(plan).bind(batch)
    let bufferBytes = PIECE_BYTES
    for (let from = 0; from < batch.rows;) {
      const out = outputOf(new Uint8Array(bufferBytes))
      const written = yield* bound.write(out, 0, { from, to: batch.rows, range, cursor })
      if (written.rows > 0) parts.push({ _tag: "Rows", bytes: out.bytes.slice(0, written.end), rows: written.rows })
      // A row larger than a buffer gets one of its own.
      bufferBytes = written.rows > 0 ? PIECE_BYTES : yield* bound.bound(from, range)
      from += written.rows
      cursor = written.cursor
    }
    return { parts, cursor }
  })
