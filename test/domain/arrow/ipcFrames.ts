/** Arrow IPC made by apache-arrow, an independent encoder, as the messages of a DoGet stream. */
import { Message, type RecordBatch, RecordBatchStreamWriter, type Table } from "apache-arrow"
import type { FlightData } from "../../../src/domain/flight/FlightData.ts"

/** Cuts an IPC stream into messages; `misalign` puts every part at an odd address. */
export const framesOfStream = (stream: Uint8Array, misalign = 0): ReadonlyArray<FlightData> => {
  const frames: Array<FlightData> = []
  const view = new DataView(stream.buffer, stream.byteOffset, stream.byteLength)
  let at = 0
  while (at + 8 <= stream.length) {
    const length = view.getInt32(at + 4, true)
    if (length === 0) break
    const header = stream.subarray(at + 8, at + 8 + length)
    const { bodyLength } = Message.decode(header)
    const bodyStart = at + 8 + length
    frames.push({
      dataHeader: moved(header, misalign),
      dataBody: moved(stream.subarray(bodyStart, bodyStart + bodyLength), misalign),
      appMetadata: new Uint8Array(0)
    })
    at = bodyStart + bodyLength
  }
  return frames
}

/** The messages of a table or of single record batches. */
export const framesOf = (data: Table | Iterable<RecordBatch>, misalign = 0): ReadonlyArray<FlightData> =>
  framesOfStream(RecordBatchStreamWriter.writeAll(data as Iterable<RecordBatch>).toUint8Array(true), misalign)

/** The same bytes at another address, with other bytes around them. */
const moved = (bytes: Uint8Array, offset: number): Uint8Array => {
  const room = new Uint8Array(bytes.length + 2 * offset).fill(0xa5)
  room.set(bytes, offset)
  return room.subarray(offset, offset + bytes.length)
}

/** The encapsulated schema message, as in `FlightInfo.schema`. */
export const encapsulatedSchemaOf = (table: Table): Uint8Array => {
  const stream = RecordBatchStreamWriter.writeAll(table).toUint8Array(true)
  const length = new DataView(stream.buffer, stream.byteOffset).getInt32(4, true)
  return stream.slice(0, 8 + length)
}
