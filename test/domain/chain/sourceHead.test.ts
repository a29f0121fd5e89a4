/** The query for blocks, the head and the verdict on a block, as pure functions. */
import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import type { BlockRange } from "../../../src/domain/chain/BlockRange.ts"
import {
  blocksQuery,
  type BlocksResponse,
  emptyResponse,
  headOf,
  isHeadMissing,
  lastBlockOf,
  readResponse,
  reportOn
} from "../../../src/domain/chain/sourceHead.ts"
import { hashOf } from "../../support/chunks.ts"
import { frames } from "../../support/frames.ts"
import { data } from "../../support/scenario.ts"

const row = (block: bigint, chain = 0) => ({ block, hash: hashOf(block, chain) })
const range = (network: string, end: bigint): BlockRange => ({
  network,
  start: 0n,
  end,
  hash: hashOf(end),
  prevHash: undefined,
  timestamp: 1_710_000_000
})
const answer = (rows: BlocksResponse["rows"], ranges?: BlocksResponse["ranges"]): BlocksResponse => ({
  ...emptyResponse,
  rows,
  ranges: ranges ?? [],
  declaresHead: ranges !== undefined
})

describe("the query for blocks", () => {
  it("requests a window from the highest block on, and each other block once", () => {
    assert.strictEqual(
      blocksQuery("anvil.blocks", [7n]),
      "SELECT block_num, hash FROM anvil.blocks WHERE block_num BETWEEN 7 AND 106"
    )
    assert.strictEqual(
      blocksQuery("anvil.blocks", [7n, 9n, 7n, 9n, 2n]),
      "SELECT block_num, hash FROM anvil.blocks WHERE block_num IN (7, 2) OR block_num BETWEEN 9 AND 108"
    )
  })

  it("requests blocks that are only asked for their existence, where the window does not have them", () => {
    assert.strictEqual(
      blocksQuery("anvil.blocks", [7n], [9n, 106n, 107n, 600n]),
      "SELECT block_num, hash FROM anvil.blocks WHERE block_num IN (107, 600) OR block_num BETWEEN 7 AND 106"
    )
  })
})

describe("a response", () => {
  it("goes on after a message of metadata alone", () => {
    const metadata = {
      ranges: [{ numbers: { start: 0, end: 40 }, network: "anvil", hash: hashOf(40n), prev_hash: null }],
      ranges_complete: false
    }
    const [schema, batch] = frames("amp", data(7, 7))
    const empty = new Uint8Array(0)
    const alone = {
      dataHeader: empty,
      dataBody: empty,
      appMetadata: new TextEncoder().encode(JSON.stringify(metadata))
    }
    const read = [schema!, alone].reduce((sum, frame) => Result.getOrThrow(readResponse(sum, frame)), emptyResponse)
    assert.deepStrictEqual([read.declaresHead, read.ranges[0]?.end], [true, 40n])
    assert.isTrue(Result.isFailure(readResponse(read, { ...batch!, dataHeader: empty })), "a body without a header")
  })
})

describe("the head of the source", () => {
  it("is the end of the synced range of the network, where the server declares one", () => {
    const head = headOf(answer([row(7n)], [range("other", 900n), range("anvil", 40n)]), "anvil", [7n])
    assert.deepStrictEqual(head, { ...row(40n), atSeconds: 1_710_000_000, isExact: true })
  })

  it("is unknown for an amp server that has synced nothing, and needs no second query", () => {
    assert.isUndefined(headOf(answer([], []), "anvil", [7n]))
    assert.isFalse(isHeadMissing(answer([], []), [7n]))
  })

  it("is otherwise the last row, which is not exact when the window is full", () => {
    const headWith = (last: bigint) => headOf(answer([row(2n), row(7n), row(last)]), "anvil", [2n, 7n])
    assert.deepStrictEqual(headWith(105n), { ...row(105n), atSeconds: undefined, isExact: true })
    assert.deepStrictEqual(headWith(106n), { ...row(106n), atSeconds: undefined, isExact: false })
  })

  it("needs a second query when a nozzle server returns no block from the highest one on", () => {
    assert.isTrue(isHeadMissing(answer([row(2n)]), [2n, 7n]))
    assert.isFalse(isHeadMissing(answer([row(2n), row(7n)]), [2n, 7n]))
    assert.deepStrictEqual(lastBlockOf(answer([row(4n)])), { ...row(4n), atSeconds: undefined, isExact: true })
    assert.isUndefined(lastBlockOf(answer([])))
  })
})

describe("the verdict on a block", () => {
  const head = (block: bigint, isExact = true) => ({ ...row(block), atSeconds: undefined, isExact })
  const verdict = (...args: Parameters<typeof reportOn>) => reportOn(...args).verdict

  it("is canonical or orphaned by the hash that is returned for its number", () => {
    assert.strictEqual(verdict(row(7n), [row(7n)], head(9n)), "canonical")
    assert.strictEqual(verdict(row(7n), [row(7n, 1), row(8n)], head(9n)), "orphaned")
    assert.strictEqual(verdict(row(9n), [], head(9n)), "canonical")
    assert.strictEqual(verdict(row(9n, 1), [], head(9n)), "orphaned")
  })

  it("is orphaned above the head, and unknown where the head is not exact, not known, or above", () => {
    assert.strictEqual(verdict(row(7n), [], head(6n)), "orphaned")
    assert.strictEqual(verdict(row(7n), [], head(6n, false)), "unknown")
    assert.strictEqual(verdict(row(7n), [], undefined), "unknown")
    assert.strictEqual(verdict(row(7n), [row(8n)], head(9n)), "unknown")
  })
})

describe("the response of the source", () => {
  it("is rejected where its metadata or its batches cannot be read", () => {
    const frame = { dataHeader: new Uint8Array(3), dataBody: new Uint8Array(0), appMetadata: new Uint8Array(0) }
    assert.isTrue(Result.isFailure(readResponse(emptyResponse, frame)))
  })
})
