/** A Flight stream of the amp dialect as ready gRPC frames in memory. */
import type { ArrowField } from "../../../src/domain/arrow/ArrowSchema.ts"
import { encodeFlightData } from "../../../src/domain/flight/messages.ts"
import { encapsulate, encodeBatch, encodeSchema } from "../../../src/simulator/arrowIpc.ts"
import { rangeMetadata } from "../../../src/simulator/streamMetadata.ts"
import type { TableName } from "../../../src/simulator/tables.ts"
import { columnsOf, fieldsOf, FIRST_BLOCK, hashOf, NETWORK, ROWS_PER_BLOCK, rowsOf, timestampOf } from "./rows.ts"

export interface StreamSpec {
  readonly table: TableName
  readonly rows: number
  /** Most rows of one message. */
  readonly messageRows: number
  /** Most blocks of one range. */
  readonly rangeBlocks: number
  /** Bytes of each `data` of a log, instead of the usual ones. */
  readonly wideBytes?: number | undefined
}

export interface CannedRange {
  readonly lastBlock: bigint
  readonly rows: number
  /** Frames of the rows, then the frame of the completion message. */
  readonly bytes: Buffer
  readonly completionAt: number
}

export interface CannedStream {
  /** The encapsulated schema, as `FlightInfo` carries it. */
  readonly schema: Uint8Array
  /** Frame of the schema message. */
  readonly opening: Buffer
  readonly ranges: ReadonlyArray<CannedRange>
  /** The frames that answer a query which is not streamed: no rows, and `head` as the last block of the chain. */
  readonly batchAnswer: (head: bigint) => Buffer
}

const EMPTY = new Uint8Array(0)

/** The 5 bytes of gRPC (not compressed, length) and the message. Source: gRPC over HTTP2, Length-Prefixed-Message. */
export const grpcFrame = (message: Uint8Array): Buffer => {
  const frame = Buffer.allocUnsafe(message.length + 5)
  frame[0] = 0
  frame.writeUInt32BE(message.length, 1)
  frame.set(message, 5)
  return frame
}

const dataFrame = (dataHeader: Uint8Array, dataBody: Uint8Array, appMetadata: Uint8Array): Buffer =>
  grpcFrame(encodeFlightData({ dataHeader, dataBody, appMetadata }))

const metadataOf = (start: bigint, end: bigint, complete: boolean): Uint8Array => {
  const range = { start, end, prevHash: hashOf(start - 1n), hash: hashOf(end), timestampSeconds: timestampOf(end) }
  return rangeMetadata("amp", NETWORK, range, complete)
}

const schemaFrame = (fields: ReadonlyArray<ArrowField>): Buffer => dataFrame(encodeSchema(fields), EMPTY, EMPTY)

const emptyFrame = (fields: ReadonlyArray<ArrowField>, metadata: Uint8Array): Buffer => {
  const { body, header } = encodeBatch(fields, [])
  return dataFrame(header, body, metadata)
}

const emptyAnswer = (fields: ReadonlyArray<ArrowField>, head: bigint): Buffer => {
  const empty = (complete: boolean) => emptyFrame(fields, metadataOf(FIRST_BLOCK, head, complete))
  return Buffer.concat([schemaFrame(fields), empty(false), empty(true)])
}

/** What the product asks of the table of blocks, which no case streams: hashes, answered with the head and no rows. */
const HASHES = fieldsOf(columnsOf("blocks", undefined)).filter(({ name }) => name === "block_num" || name === "hash")

export const hashes = {
  schema: encapsulate(encodeSchema(HASHES)),
  batchAnswer: (head: bigint): Buffer => emptyAnswer(HASHES, head)
}

/** Makes all frames of a stream; the same specification makes the same bytes. */
export const cannedStream = (spec: StreamSpec): CannedStream => {
  const columns = columnsOf(spec.table, spec.wideBytes)
  const fields = fieldsOf(columns)
  const rowsPerBlock = ROWS_PER_BLOCK[spec.table]
  const blocks = Math.ceil(spec.rows / rowsPerBlock)
  const ranges: Array<CannedRange> = []
  for (let block = 0; block < blocks; block += spec.rangeBlocks) {
    const count = Math.min(spec.rangeBlocks, blocks - block)
    const start = FIRST_BLOCK + BigInt(block)
    const end = start + BigInt(count) - 1n
    const rows = count * rowsPerBlock
    const filled = rowsOf(columns, start, end)
    const pending = metadataOf(start, end, false)
    const frames: Array<Buffer> = []
    for (let from = 0; from < rows; from += spec.messageRows) {
      const to = Math.min(rows, from + spec.messageRows)
      const { body, header } = encodeBatch(fields, [{ columns: filled, from, to }])
      frames.push(dataFrame(header, body, pending))
    }
    const completion = emptyFrame(fields, metadataOf(start, end, true))
    const bytes = Buffer.concat([...frames, completion])
    ranges.push({ lastBlock: end, rows, bytes, completionAt: bytes.length - completion.length })
  }
  return {
    schema: encapsulate(encodeSchema(fields)),
    opening: schemaFrame(fields),
    ranges,
    batchAnswer: (head) => emptyAnswer(fields, head)
  }
}
