/** The events that the chain rules derive from streams that were recorded from real servers. */
import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import type { Checkpoint } from "../../../src/domain/chain/Checkpoint.ts"
import { followFrame, startFollowing } from "../../../src/domain/chain/followFrame.ts"
import { resume } from "../../../src/domain/chain/resumeStrategy.ts"
import { emptyResponse, headOf, readResponse } from "../../../src/domain/chain/sourceHead.ts"
import { parseStreamMetadata } from "../../../src/domain/chain/StreamMetadata.ts"
import type { TableEvent } from "../../../src/domain/chain/TableEvent.ts"
import { recorded, type WireCall, type WireMessage } from "../../support/wire.ts"

const options = { rangeMode: false, retentionBlocks: 128, onChainReset: "park" } as const

const following = (checkpoint: Partial<Checkpoint>) =>
  startFollowing(
    { network: undefined, origin: undefined, history: [], unverifiedFrom: undefined, ...checkpoint },
    options,
    resume
  )

const metadataOf = ({ metadata }: WireMessage) =>
  Result.getOrThrow(parseStreamMetadata(new TextEncoder().encode(metadata ?? "")))

const textOf = (event: TableEvent): ReadonlyArray<string> => {
  if (event._tag === "Reorg") return [`replaced from ${event.deleteFrom}`]
  return event._tag === "Watermark" ? [`complete to ${event.range.end}`] : []
}

/**
 * The events of a recorded stream, as text.
 *
 * Where the rules reconnect to find the block below a reorg, no recording shows what the server would have sent. The stream is
 * followed on as if that block had been found: the parent that the range names.
 */
const eventsOf = (call: WireCall): ReadonlyArray<string> => {
  const cursor = JSON.parse(call.headers["amp-resume"] ?? "{}") as { anvil?: { number: number; hash: string } }
  const history = cursor.anvil === undefined ? [] : [{ block: BigInt(cursor.anvil.number), hash: cursor.anvil.hash }]
  let state = following(history.length === 0 ? {} : { network: "anvil", origin: 0n, history })
  const lines: Array<string> = []
  for (const message of call.messages) {
    const frame = { metadata: metadataOf(message), batch: { rows: message.rows ?? 0 } }
    let step = followFrame(state, frame)
    if (step._tag === "ReconnectFrom") {
      const { prevHash, start } = frame.metadata!.ranges[0]!
      lines.push(`searches below ${start}`)
      const below = state.history.filter(({ block }) => block < start - 1n)
      const parent = prevHash === undefined ? [] : [{ block: start - 1n, hash: prevHash }]
      state = following({ network: "anvil", origin: 0n, history: [...below, ...parent] })
      step = followFrame(state, frame)
    }
    if (step._tag !== "Followed") throw new Error(`${step._tag} at ${message.metadata}`)
    state = step.state
    lines.push(...step.events.flatMap(textOf))
  }
  return lines
}

/** Reorgs of depth 1, 2, 3, 5 and 10. The first range of them begins at the end of the range before: that proves nothing. */
const AMP_REORGS = [
  "complete to 1244",
  "complete to 1247",
  "searches below 1247",
  "complete to 1248",
  "replaced from 1247",
  "complete to 1249",
  "replaced from 1247",
  "complete to 1250",
  "replaced from 1246",
  "complete to 1252",
  "replaced from 1243",
  "complete to 1253"
]

/** The last range of a nozzle stream is never complete: only the one after it shows that it is. */
const NOZZLE_REORGS = [
  "complete to 1619",
  "complete to 1620",
  "complete to 1621",
  "complete to 1622",
  "complete to 1623",
  "complete to 1624",
  "complete to 1625",
  "replaced from 1626",
  "complete to 1627",
  "searches below 1627",
  "complete to 1629",
  "searches below 1628",
  "complete to 1631",
  "replaced from 1628",
  "complete to 1633",
  "searches below 1629",
  "complete to 1635"
]

/** Fixture, stream, events. */
const STREAMS: ReadonlyArray<readonly [fixture: string, stream: string, events: ReadonlyArray<string>]> = [
  ["amp-streams", "history of blocks", ["complete to 999", "complete to 1243"]],
  ["amp-streams", "just deployed", []],
  ["amp-streams", "live reorgs of blocks", AMP_REORGS],
  ["amp-streams", "live reorgs of logs", AMP_REORGS],
  ["amp-streams", "a start after reorgs", ["complete to 999", "complete to 1416"]],
  ["amp-streams", "a reorg of 140 blocks", ["complete to 999", "complete to 1678"]],
  ["amp-streams", "a reorg below the first block", [
    "complete to 1590",
    "searches below 1586",
    "complete to 1592",
    "replaced from 1588",
    "complete to 1595"
  ]],
  ["amp-streams", "a derived dataset", ["complete to 999", "complete to 1253"]],
  ["amp-streams", "a large block", ["complete to 999", "complete to 1587"]],
  ["amp-streams", "a server that ends", ["searches below 1676", "complete to 1679"]],
  ["nozzle-streams", "history of blocks", []],
  ["nozzle-streams", "live reorgs of blocks", NOZZLE_REORGS],
  ["nozzle-streams", "live reorgs of logs", NOZZLE_REORGS]
]

describe("recorded streams of real servers", () => {
  for (const [fixture, name, events] of STREAMS) {
    it(`${fixture}: ${name}`, () => {
      assert.deepStrictEqual(eventsOf(recorded(fixture)[name]!), events)
    })
  }

  for (const [name, call] of [...Object.entries(recorded("amp-resume")), ...Object.entries(recorded("amp-queries"))]) {
    it(`amp: ${name} is followed without a violation`, () => {
      eventsOf({ ...call, headers: {} })
    })
  }
})

describe("a recorded batch query", () => {
  it("contains the exact head of the source (number, hash and time) although it has no rows", () => {
    const { "no rows": batch, "number and hash, messages without rows": columns } = recorded("amp-batch")
    // The recorded query has no column `hash`; schema and empty batches with both columns are of the same server.
    const answer = batch!.messages.reduce((read, message, i) => {
      const dataHeader = Buffer.from(columns!.messages[i]!.header!, "base64")
      const appMetadata = new TextEncoder().encode(message.metadata ?? "")
      return Result.getOrThrow(readResponse(read, { dataHeader, dataBody: new Uint8Array(0), appMetadata }))
    }, emptyResponse)
    assert.isTrue(answer.declaresHead)
    assert.deepStrictEqual(headOf(answer, "anvil", [1200n]), {
      block: 1501n,
      hash: "0xe3934ea29306d6aecb45e5b2e15f97c054322a280397a65750aab33637bda426",
      atSeconds: 1_795_977_228,
      isExact: true
    })
  })
})
