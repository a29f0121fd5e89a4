/** Sends canned ranges under flow control, as fast as the client takes them or at a given pace. */
import type { ServerHttp2Stream } from "node:http2"
import { now, sleepUntil } from "../clock.ts"
import type { CannedRange } from "./cannedStream.ts"

const PIECE_BYTES = 256 * 1024
/** Pieces that are handed over before the first of them is taken, so that the window never waits for the sender. */
const MAX_UNSENT = 4

/** Settles when HTTP/2 has taken `bytes`, or the stream is gone. */
export const write = (stream: ServerHttp2Stream, bytes: Uint8Array): Promise<void> =>
  new Promise((resolve) => {
    if (stream.destroyed) return resolve()
    stream.once("close", resolve)
    stream.write(bytes, () => {
      stream.off("close", resolve)
      resolve()
    })
  })

/** Sends the bytes of `ranges`; `rowsPerSecond` slows it down. */
export const sendRanges = async (
  stream: ServerHttp2Stream,
  ranges: ReadonlyArray<CannedRange>,
  rowsPerSecond: number | undefined
): Promise<void> => {
  const unsent: Array<Promise<void>> = []
  const started = now()
  let rowsSent = 0
  for (const range of ranges) {
    for (let at = 0; at < range.bytes.length && !stream.destroyed; at += PIECE_BYTES) {
      const piece = range.bytes.subarray(at, at + PIECE_BYTES)
      unsent.push(write(stream, piece))
      if (unsent.length >= MAX_UNSENT) await unsent.shift()
      if (rowsPerSecond === undefined) continue
      rowsSent += (range.rows * piece.length) / range.bytes.length
      await sleepUntil(started + (rowsSent / rowsPerSecond) * 1000)
    }
    if (stream.destroyed) return
  }
  await Promise.all(unsent)
}

/** When the completion message of a block was written, and when the kernel had it. */
export interface SentBlock {
  readonly block: number
  readonly writtenAt: number
  readonly flushedAt: number
}

/** Sends one range every `intervalMillis`, and calls `sending` for each. */
export const sendPaced = async (
  stream: ServerHttp2Stream,
  ranges: ReadonlyArray<CannedRange>,
  intervalMillis: number,
  sending: (range: CannedRange) => void
): Promise<ReadonlyArray<SentBlock>> => {
  const sent: Array<SentBlock> = []
  const started = now()
  for (const [index, range] of ranges.entries()) {
    const { bytes, completionAt, lastBlock } = range
    await sleepUntil(started + index * intervalMillis)
    if (stream.destroyed) throw new Error("the product closed its stream")
    sending(range)
    // Rows and completion are handed over together; the time is that of the completion, the last of them.
    void write(stream, bytes.subarray(0, completionAt))
    const writtenAt = now()
    await write(stream, bytes.subarray(completionAt))
    sent.push({ block: Number(lastBlock), writtenAt, flushedAt: now() })
  }
  return sent
}
