import { assert, describe, it } from "@effect/vitest"
import type { StatusEvent, TableStatus } from "../../src/domain/TableStatus.ts"
import { initialStatus, lagBlocks, nextStatus } from "../../src/domain/TableStatus.ts"
import { committed as committedChunk } from "../doubles/statusEvents.ts"

const after = (...events: ReadonlyArray<StatusEvent>): TableStatus => events.reduce(nextStatus, initialStatus("t", 0))

const connected: StatusEvent = { _tag: "Connected", rows: 40n, watermark: 9n, unverified: true }
const committed = (fields: Parameters<typeof committedChunk>[0] = {}): StatusEvent =>
  committedChunk({ lastBlock: 14n, ...fields })
const head = (block: bigint): StatusEvent => ({ _tag: "HeadRead", head: { block, atSeconds: 1_700_000_000 } })

describe("the status of a table", () => {
  it("begins a connection with what is durable", () => {
    assert.deepInclude(after(connected), {
      phase: "catching up",
      rows: 40n,
      rowsCommitted: 0,
      watermark: 9n,
      unverified: true
    })
  })

  it("counts what this process committed beside what the table holds", () => {
    const status = after(connected, committed(), committed({ rowsAdded: 1, rowsRemoved: 4, blocks: 0n, reorgs: 1 }))
    assert.deepInclude(status, {
      rows: 42n,
      rowsCommitted: 6,
      blocksCommitted: 2n,
      watermark: 11n,
      lastBlock: 14n,
      reorgs: 1,
      unverified: false
    })
  })

  it("keeps its last block where a commit names none", () => {
    assert.strictEqual(after(committed(), committed({ lastBlock: undefined })).lastBlock, 14n)
  })

  it("keeps its figures through a change of phase, and its phase through a reading of the head", () => {
    const failed = after(connected, committed(), { _tag: "Failed", attempts: 5, reason: "down" })
    assert.deepInclude(failed, { phase: "stalled", reason: "down", rows: 45n })
    assert.deepInclude(nextStatus(failed, head(20n), 9), {
      phase: "stalled",
      reason: "down",
      sourceHead: { block: 20n, atSeconds: 1_700_000_000 }
    })
  })
})

describe("the lag of a table", () => {
  it("is not known before the head is", () => {
    assert.isUndefined(lagBlocks(after(committed())))
  })

  it("counts blocks from the newest committed one to the head, complete or not", () => {
    assert.strictEqual(lagBlocks(after(committed(), head(20n))), 6n)
    assert.strictEqual(lagBlocks(after(committed({ lastBlock: undefined }), head(20n))), 9n)
    assert.strictEqual(lagBlocks(after(committed({ lastBlock: 5n }), head(20n))), 9n)
  })

  it("counts block 0 where nothing is committed", () => {
    assert.strictEqual(lagBlocks(after(head(20n))), 21n)
  })

  it("is never negative: a head may have been read before the last commit", () => {
    assert.strictEqual(lagBlocks(after(committed(), head(14n))), 0n)
    assert.strictEqual(lagBlocks(after(committed(), head(10n))), 0n)
  })
})
