import { Result } from "effect"
import type { ColumnBatch } from "../../../src/domain/arrow/ColumnBatch.ts"
import { decodeFrame, type DecoderState, noSchema } from "../../../src/domain/arrow/decodeFrame.ts"
import type { MalformedArrow } from "../../../src/domain/arrow/MalformedArrow.ts"
import type { FlightData } from "../../../src/domain/flight/FlightData.ts"
import { framesOfStream } from "./ipcFrames.ts"

/** Decodes a sequence of messages. */
export const decodeFrames = (
  frames: ReadonlyArray<FlightData>
): Result.Result<{ readonly state: DecoderState; readonly batches: ReadonlyArray<ColumnBatch> }, MalformedArrow> =>
  Result.gen(function*() {
    let state = noSchema
    const batches: Array<ColumnBatch> = []
    for (const frame of frames) {
      const decoded = yield* decodeFrame(state, frame)
      state = decoded.state
      if (decoded.batch !== undefined) batches.push(decoded.batch)
    }
    return { state, batches }
  })

export const decodeStream = (stream: Uint8Array, misalign = 0) => decodeFrames(framesOfStream(stream, misalign))
