/** Damages messages at random, decodes and encodes them, and checks the outcome. */
import { Result } from "effect"
import type { ColumnBatch } from "../../../src/domain/arrow/ColumnBatch.ts"
import { decodeFrame, type DecoderState, noSchema } from "../../../src/domain/arrow/decodeFrame.ts"
import type { FlightData } from "../../../src/domain/flight/FlightData.ts"
import { makeCopyPlan } from "../../../src/domain/postgres/encode/encodeCopy.ts"
import { planColumns } from "../../../src/domain/postgres/types/PgType.ts"
import { encodeAll } from "../../support/encodeAll.ts"
import type { Random } from "../postgres/randomColumns.ts"

/** A copy in the middle of other bytes, which must not be read. */
const surrounded = (bytes: Uint8Array, by: number): Uint8Array => {
  const room = new Uint8Array(bytes.length + 513).fill(by)
  room.set(bytes, 257)
  return room.subarray(257, 257 + bytes.length)
}

const edges = [0, 1, 0x7f, 0x80, 0xff]

/** Changes up to four places, or cuts the end off. */
const damaged = (random: Random, bytes: Uint8Array): Uint8Array => {
  if (bytes.length === 0) return bytes
  if (random() < 0.1) return bytes.slice(0, Math.floor(random() * bytes.length))
  const copy = bytes.slice()
  for (let count = 1 + Math.floor(random() * 4); count > 0; count--) {
    const at = Math.floor(random() * copy.length)
    const kind = random()
    if (kind < 0.3) copy[at]! ^= 1 << Math.floor(random() * 8)
    else if (kind < 0.6) copy[at] = edges[Math.floor(random() * edges.length)]!
    else if (kind < 0.8) copy[at] = Math.floor(random() * 256)
    else copy.fill(edges[Math.floor(random() * edges.length)]!, at, at + 8)
  }
  return copy
}

/** One or two messages of a stream, damaged in the header, the body or both. */
export const damage = (random: Random, frames: ReadonlyArray<FlightData>): ReadonlyArray<FlightData> => {
  const victim = Math.floor(random() * frames.length)
  return frames.map((frame, index) => {
    if (index !== victim) return frame
    const part = random()
    return {
      ...frame,
      dataHeader: part < 0.7 ? damaged(random, frame.dataHeader) : frame.dataHeader,
      dataBody: part > 0.5 ? damaged(random, frame.dataBody) : frame.dataBody
    }
  })
}

const encoded = (batch: ColumnBatch): string => {
  const columns = planColumns(batch.schema)
  if (Result.isFailure(columns)) return columns.failure.message
  const plan = makeCopyPlan({ columns: columns.success, position: { kind: "rangeEnd" }, textNul: "refuse" })
  const to = Math.min(batch.rows, 2000)
  const rows = encodeAll(plan, { batch, from: 0, to, range: { start: 0n, end: 1n }, cursor: undefined })
  return Result.match(rows, {
    onFailure: (error) => error.message,
    onSuccess: ({ bytes }) => Buffer.from(bytes).toString("base64")
  })
}

/** The outcome of a stream: rows, or sentences. Throws what the decoder or the encoder throws. */
export const outcome = (frames: ReadonlyArray<FlightData>, neighbour: number): ReadonlyArray<string> => {
  let state: DecoderState = noSchema
  const seen: Array<string> = []
  for (const frame of frames) {
    const decoded = decodeFrame(state, {
      ...frame,
      dataHeader: surrounded(frame.dataHeader, neighbour),
      dataBody: surrounded(frame.dataBody, neighbour)
    })
    if (Result.isFailure(decoded)) return [...seen, decoded.failure.message]
    state = decoded.success.state
    if (decoded.success.batch !== undefined) seen.push(encoded(decoded.success.batch))
  }
  return seen
}

export interface Failure {
  readonly what: string
}

/** The longest a few thousand rows may take; what takes longer counts as a hang. */
const HANG_MILLIS = 5000

/** The forbidden outcome of a stream; undefined where there is none. */
export const failureOf = (frames: ReadonlyArray<FlightData>): Failure | undefined => {
  const started = performance.now()
  try {
    const [one, other] = [outcome(frames, 0x00), outcome(frames, 0xa5)]
    if (JSON.stringify(one) !== JSON.stringify(other)) return { what: "the outcome depends on neighbouring memory" }
  } catch (cause) {
    return { what: `threw ${cause instanceof Error ? cause.stack : String(cause)}` }
  }
  const millis = performance.now() - started
  return millis > HANG_MILLIS ? { what: `took ${millis.toFixed(0)} ms` } : undefined
}

/** A stream in the format of the files of test/fixtures/fuzz. */
export const savedCase = (frames: ReadonlyArray<FlightData>, { what }: Failure): string => {
  const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64")
  const saved = frames.map(({ dataBody, dataHeader }) => ({ header: base64(dataHeader), body: base64(dataBody) }))
  return `${JSON.stringify({ what: what.split("\n")[0], frames: saved }, undefined, 1)}\n`
}

export const loadCase = (text: string): ReadonlyArray<FlightData> => {
  const { frames }: { frames: ReadonlyArray<{ header: string; body: string }> } = JSON.parse(text)
  const bytes = (base64: string) => Uint8Array.from(Buffer.from(base64, "base64"))
  return frames.map(({ body, header }) => ({
    dataHeader: bytes(header),
    dataBody: bytes(body),
    appMetadata: new Uint8Array(0)
  }))
}
