import { assert, describe, it } from "@effect/vitest"
import { lagBlocks, lagSeconds } from "../../src/domain/lag.ts"
import type { StatusEvent } from "../../src/domain/StatusEvent.ts"
import { initialStatus, nextStatus, type TableStatus } from "../../src/domain/TableStatus.ts"
import { committed as committedChunk, connected as connectedTable, reorged } from "../doubles/statusEvents.ts"

const after = (...events: ReadonlyArray<StatusEvent>): TableStatus => events.reduce(nextStatus, initialStatus("t", 0))

const connected = connectedTable({ unverified: true, provisionalRows: 4n })
const committed = (fields: Parameters<typeof committedChunk>[0] = {}): StatusEvent =>
  committedChunk({ lastBlock: 14n, ...fields })
const head = (block: bigint): StatusEvent => ({ _tag: "HeadRead", head: { block, atSeconds: 1_700_000_000 } })

describe("the status of a table", () => {
  it("begins a connection with what is durable", () => {
    assert.deepInclude(after(connected), {
      phase: "catching up",
      rows: 40n,
      rowsCommitted: 0,
      provisionalRows: 4n,
      watermark: 9n,
      watermarkHash: "0x09",
      unverified: true
    })
  })

  it("counts what this process committed beside what the table holds", () => {
    const status = after(
      connected,
      committed(),
      committed({
        rowsAdded: 1,
        rowsRemoved: 4,
        blocks: 0n,
        reorgs: [reorged(9n, 3n)],
        provisionalRows: 2n
      })
    )
    assert.deepInclude(status, {
      rows: 42n,
      provisionalRows: 2n,
      rowsCommitted: 6,
      bytesCommitted: 1_000,
      blocksCommitted: 2n,
      watermark: 11n,
      watermarkHash: "0x0b",
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

describe("the errors of a table", () => {
  const failed = (attempts: number, reason: string): StatusEvent => ({ _tag: "Failed", attempts, reason })

  it("are the last one, and the first one since it made progress", () => {
    const full = after(connected, failed(1, "the disk is full"), failed(2, "connection refused"))
    assert.deepInclude(full, {
      retries: 2,
      firstError: { message: "the disk is full", atMillis: 1 },
      lastError: { message: "connection refused", atMillis: 2 }
    })
    const again = nextStatus(full, committed({ isProgress: false }), 3)
    assert.strictEqual(again.firstError?.message, "the disk is full")
    const healed = nextStatus(again, committed(), 4)
    assert.deepInclude(healed, {
      retries: 2,
      firstError: undefined,
      lastError: { message: "connection refused", atMillis: 2 }
    })
  })

  it("are kept where the table is parked because of them", () => {
    const parked = after(connected, failed(1, "the disk is full"), { _tag: "Parked", reason: "rejected" })
    assert.deepInclude(parked, { retries: 1, firstError: { message: "the disk is full", atMillis: 1 } })
    assert.strictEqual(parked.lastError?.message, "rejected")
  })
})

describe("the figures of a table", () => {
  it("have the size of the next chunk, which a failure may reduce", () => {
    assert.strictEqual(after(committed({ chunkRows: 15_000 })).chunkRows, 15_000)
    const failed = after(committed(), { _tag: "Failed", attempts: 1, reason: "down", chunkRows: 7_000 })
    assert.strictEqual(failed.chunkRows, 7_000)
  })

  it("add the times of the stages where a commit has them", () => {
    const stages = { sourceWaitMillis: 5, encodeMillis: 2, storageWaitMillis: 3 }
    assert.deepStrictEqual(after(committed({ stages }), committed(), committed({ stages })).stages, {
      sourceWaitMillis: 10,
      encodeMillis: 4,
      storageWaitMillis: 6
    })
  })

  it("have the time at which the watermark last moved: another block, or another hash", () => {
    const events = [connected, committed(), committed(), committed({ watermarkHash: "0xff" })]
    const times = events.map((_, index) => after(...events.slice(0, index + 1)).watermarkMovedAtMillis)
    assert.deepStrictEqual(times, [undefined, 1, 1, 3])
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

  it("does not count blocks of a range in progress whose rows did not come yet, as of a range as long as the chain", () => {
    const first = committed({ watermark: undefined, lastBlock: 999n, lastRow: 99n })
    assert.strictEqual(lagBlocks(after(connectedTable({ watermark: undefined }), first, head(999n))), 900n)
    // At the tip what is missing has no rows in this table.
    assert.strictEqual(lagBlocks(after(first, head(999n), { _tag: "CaughtUp" })), 0n)
  })

  it("counts from the watermark again after a connection was lost: the rows above it are deleted", () => {
    assert.strictEqual(lagBlocks(after(committed(), connected, head(20n))), 11n)
  })

  it("counts block 0 where nothing is committed", () => {
    assert.strictEqual(lagBlocks(after(head(20n))), 21n)
  })

  it("is never negative: a head may have been read before the last commit", () => {
    assert.strictEqual(lagBlocks(after(committed(), head(14n))), 0n)
    assert.strictEqual(lagBlocks(after(committed(), head(10n))), 0n)
  })
})

describe("the lag of a table whose rows wait for confirmations", () => {
  const confirmed = connectedTable({ confirmations: 6 })

  it("counts from the newest block that has them", () => {
    assert.strictEqual(lagBlocks(after(confirmed, committed(), head(24n))), 4n)
    assert.strictEqual(lagBlocks(after(confirmed, committed(), head(20n))), 0n)
    assert.strictEqual(lagBlocks(after(confirmed, committed(), head(16n))), 0n)
  })

  it("in seconds goes by the mean pace of the blocks above the watermark", () => {
    const timed = committed({ watermark: 14n, watermarkAtSeconds: 1_700_000_000 - 120 })
    assert.strictEqual(lagSeconds(after(timed, head(24n))), 120)
    assert.strictEqual(lagSeconds(after(confirmed, timed, head(24n))), 48)
    assert.strictEqual(lagSeconds(after(confirmed, timed, head(20n))), 0)
  })

  it("comes with what waits, which a connection takes with it", () => {
    const held = { blocks: 3n, rows: 7, bytes: 900 }
    const waiting: StatusEvent = { _tag: "HeldChanged", held }
    const nothing = { blocks: 0n, rows: 0, bytes: 0 }
    assert.deepStrictEqual(after(confirmed, waiting).held, held)
    assert.deepStrictEqual(after(confirmed, waiting, { _tag: "Failed", attempts: 1, reason: "down" }).held, nothing)
    assert.deepStrictEqual(after(confirmed, waiting, { _tag: "Parked", reason: "wrong" }).held, nothing)
    assert.deepStrictEqual(after(confirmed, waiting, confirmed).held, nothing)
  })
})

describe("a source that ends below the watermark", () => {
  const since = (...events: ReadonlyArray<StatusEvent>) => after(...events).sourceBehindSinceMillis

  it("is a contradiction from the first reading on, and the lag is not known", () => {
    assert.strictEqual(since(committed(), head(8n)), 1)
    assert.strictEqual(since(connected, head(2n), head(3n)), 1)
    assert.isUndefined(lagBlocks(after(committed(), head(8n))))
  })

  it("is none where servers behind a balancer may be that far apart", () => {
    assert.isUndefined(since(committed(), head(9n)))
    assert.strictEqual(lagBlocks(after(committed(), head(9n))), 0n)
  })

  it("is none where the head was asked for before the watermark moved, up or down by a reorg", () => {
    const slow: StatusEvent = { _tag: "HeadRead", head: { block: 5n, atSeconds: undefined }, askedAtMillis: 0 }
    assert.isUndefined(since(connected, committed(), slow))
    assert.strictEqual(since(connected, committed(), { ...slow, askedAtMillis: 2 }), 2)
    assert.isUndefined(since(connected, head(5n), committed()))
    assert.isUndefined(since(committed(), head(5n), committed({ watermark: 5n, watermarkHash: "0x05" })))
  })

  it("stays one through commits that leave the watermark, a failure and a new connection", () => {
    const provisional = committed({ watermark: 11n, lastBlock: 12n })
    const failed: StatusEvent = { _tag: "Failed", attempts: 1, reason: "down" }
    const again = connectedTable({ watermark: 11n, watermarkHash: "0x0b" })
    assert.strictEqual(since(committed(), head(8n), provisional, failed, again), 1)
  })

  it("is none any more once the source has grown, or the table is filled again", () => {
    assert.isUndefined(since(committed(), head(8n), head(11n)))
    assert.isUndefined(since(committed(), head(8n), connectedTable({ watermark: undefined, watermarkHash: undefined })))
  })
})
