/** Messages of a scenario as they come over the wire. */
import type { ArrowField } from "../../src/domain/arrow/ArrowSchema.ts"
import type { BlockRange } from "../../src/domain/chain/BlockRange.ts"
import type { FlightData } from "../../src/domain/flight/FlightData.ts"
import { encodeBatch, encodeSchema } from "../../src/simulator/arrowIpc.ts"
import { GrowingBytes } from "../../src/simulator/columns.ts"
import type { Message } from "./scenario.ts"

export const frameFields: ReadonlyArray<ArrowField> = [
  { name: "_block_num", type: { kind: "int", bits: 64, signed: false }, nullable: false }
]

const empty = new Uint8Array(0)

export const schemaFrame: FlightData = { dataHeader: encodeSchema(frameFields), dataBody: empty, appMetadata: empty }

/** A message whose bytes are no Arrow. */
export const malformedFrame: FlightData = { dataHeader: Uint8Array.of(1, 2, 3), dataBody: empty, appMetadata: empty }

/** The messages, behind that of the schema. Rows stand in the first blocks of their range, one in each. */
export const frames = (dialect: "amp" | "nozzle", ...messages: ReadonlyArray<Message>): ReadonlyArray<FlightData> => {
  let current: BlockRange | undefined
  return [
    schemaFrame,
    ...messages.map((message) => {
      if (message.kind === "range") current = message.ranges[0]
      const ranges = message.kind === "range" ? message.ranges : current === undefined ? [] : [current]
      return frame(dialect, ranges, message.kind === "complete", message.rows)
    })
  ]
}

const frame = (
  dialect: "amp" | "nozzle",
  ranges: ReadonlyArray<BlockRange>,
  isComplete: boolean,
  rows: number
): FlightData => {
  const { body, header } = encodeBatch(frameFields, [{ columns: [blockNumbers(ranges[0], rows)], from: 0, to: rows }])
  const metadata = {
    ranges: ranges.map(({ end, hash, network, prevHash, start }) => ({
      numbers: { start: Number(start), end: Number(end) },
      network,
      hash,
      prev_hash: prevHash ?? null
    })),
    ...(dialect === "amp" ? { ranges_complete: isComplete } : {})
  }
  return { dataHeader: header, dataBody: body, appMetadata: new TextEncoder().encode(JSON.stringify(metadata)) }
}

const blockNumbers = (range: BlockRange | undefined, rows: number) => {
  const values = new GrowingBytes()
  for (let row = 0; row < rows; row += 1) {
    const block = range!.start + BigInt(row)
    const at = values.reserve(8)
    values.view.setBigUint64(at, block < range!.end ? block : range!.end, true)
  }
  return { kind: "fixed" as const, width: 8, values, present: undefined }
}
