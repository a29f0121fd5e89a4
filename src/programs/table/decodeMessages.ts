/** Flight messages as frames of rows. */
import { Effect, Stream } from "effect"
import type { DecoderState } from "../../domain/arrow/decodeFrame.ts"
import { decodeFrame, noSchema } from "../../domain/arrow/decodeFrame.ts"
import { parseStreamMetadata } from "../../domain/chain/StreamMetadata.ts"
import type { FlightData } from "../../domain/flight/FlightData.ts"

/** FlightData -> frame: its metadata, and its rows as columns. */
const decode = Effect.fnUntraced(function*(state: DecoderState, message: FlightData) {
  const metadata = yield* Effect.fromResult(parseStreamMetadata(message.appMetadata))
  const { batch, state: next } = yield* Effect.fromResult(decodeFrame(state, message))
  return [next, [{ metadata, batch }]] as const
})

/** Decodes the messages of one stream, one frame each. */
export const decodeMessages = <E, R>(messages: Stream.Stream<FlightData, E, R>) =>
  Stream.mapAccumEffect(messages, () => noSchema, decode)
