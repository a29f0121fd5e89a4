import { assert, describe, it } from "@effect/vitest"
import { Message, MessageHeader } from "apache-arrow"
import { Effect } from "effect"
import { rowsOf } from "./arrowFlightReader.ts"
import { completed, desk, isLastOf, isSilent, next, oneBatch, ranges, rowsOfRange, span, tableOf } from "./streaming.ts"

const dialects = ["nozzle", "amp"] as const
const ZERO = `0x${"0".repeat(64)}`

describe("a stream of the simulator", () => {
  for (const dialect of dialects) {
    it.live(`${dialect}: delivers the history in ranges that join by their hashes, then every new block by itself`, () =>
      Effect.gen(function*() {
        const { simulator, stream } = yield* desk({ dialect, blocks: 25, maxRangeBlocks: 10 })
        const opened = yield* stream("blocks")
        const history = yield* ranges(opened, isLastOf(dialect), 3)
        assert.deepStrictEqual(history.map(span), [[0, 9], [10, 19], [20, 24]])
        assert.strictEqual(history[0]!.range.prev_hash, ZERO)
        assert.strictEqual(history[1]!.range.prev_hash, history[0]!.range.hash)
        assert.strictEqual(history[2]!.range.hash, simulator.chain.hashAt(24n))
        simulator.mine(1)
        const [tip] = yield* ranges(opened, isLastOf(dialect))
        simulator.mine(3)
        const [group] = yield* ranges(opened, isLastOf(dialect))
        assert.deepStrictEqual([span(tip!), span(group!)], [[25, 25], [26, 28]])
        const rows = [...history, tip!, group!].flatMap(rowsOfRange)
        assert.deepStrictEqual(rows, [...simulator.chain.rows("blocks")])
        assert.isTrue(yield* isSilent(opened))
      }))

    it.live(`${dialect}: the schema comes once, without metadata, before the first batch`, () =>
      Effect.gen(function*() {
        const { reader } = yield* desk({ dialect, blocks: 25, maxRangeBlocks: 10, maxBatchRows: 4 })
        const ticket = yield* Effect.promise(() =>
          reader.ticket(`SELECT * FROM ${tableOf(dialect, "blocks")} SETTINGS stream = true`)
        )
        const kinds = yield* Effect.promise(async () => {
          const kinds: Array<string> = []
          for await (const message of reader.client.raw.doGet({ ticket: Buffer.from(ticket) })) {
            const isSchema = Message.decode(message.dataHeader).headerType === MessageHeader.Schema
            kinds.push(`${isSchema ? "schema" : "batch"} ${message.appMetadata.length > 0}`)
            if (kinds.length === 9) break
          }
          return kinds
        })
        assert.deepStrictEqual(kinds, ["schema false", ...Array.from({ length: 8 }, () => "batch true")])
      }))

    it.live(`${dialect}: the rows of one block may lie in two record batches, the ranges stay whole`, () =>
      Effect.gen(function*() {
        const { simulator, stream } = yield* desk({ dialect, blocks: 12, maxRangeBlocks: 12, maxBatchRows: 10 })
        const logs = simulator.chain.countRows("logs")
        const opened = yield* stream("logs")
        const isLast = (batches: ReadonlyArray<{ rows: number }>) =>
          batches.reduce((sum, _) => sum + _.rows, 0) === logs
        const [range] = yield* ranges(opened, dialect === "amp" ? completed : isLast)
        const blocksOf = range!.batches.map((_) => new Set(rowsOf(_.batch).map((row) => row["_block_num"])))
        const shared = blocksOf.filter((blocks, i) => [...blocks].some((block) => blocksOf[i + 1]?.has(block)))
        assert.isNotEmpty(shared)
        assert.isTrue(range!.batches.every((_) => _.rows <= 10))
        // Where a batch had begun a block, amp sends the rest of that block as a batch of its own.
        const rests = blocksOf.filter((blocks, i) =>
          blocks.size > 1 && [...blocks].some((_) => blocksOf[i - 1]?.has(_))
        )
        assert.strictEqual(rests.length > 0, dialect === "nozzle")
        assert.deepStrictEqual(rowsOfRange(range!), [...simulator.chain.rows("logs")])
      }))

    it.live(`${dialect}: begins at the start block of the dataset, with the hash of the block before it`, () =>
      Effect.gen(function*() {
        const { simulator, stream } = yield* desk({ dialect, blocks: 25, startBlock: 20 })
        const [range] = yield* ranges(yield* stream("blocks"), isLastOf(dialect))
        assert.deepStrictEqual(span(range!), [20, 24])
        assert.strictEqual(range!.range.prev_hash, simulator.chain.hashAt(19n))
      }))

    it.live(`${dialect}: a range that was begun is finished with the rows of the chain it was begun on`, () =>
      Effect.gen(function*() {
        const { simulator, stream } = yield* desk({ dialect, blocks: 30, maxRangeBlocks: 30, maxBatchRows: 10 })
        const before = [...simulator.chain.rows("blocks")]
        const opened = yield* stream("blocks")
        const first = yield* next(opened)
        simulator.reorg(20)
        const isLast = (batches: ReadonlyArray<{ rows: number }>) =>
          batches.reduce((sum, _) => sum + _.rows, 0) === 30 - first!.rows
        const [old, replacing] = yield* ranges(opened, dialect === "amp" ? completed : isLast, 2)
        assert.deepStrictEqual([...rowsOf(first!.batch), ...rowsOfRange(old!)], before)
        assert.deepStrictEqual(span(replacing!), [10, 30])
      }))

    it.live(`${dialect}: tables without data end the stream at once, each dialect in its own way`, () =>
      Effect.gen(function*() {
        const { stream } = yield* desk({ dialect, blocks: 0 })
        const opened = yield* stream("logs")
        if (dialect === "amp") {
          const only = yield* next(opened)
          assert.deepStrictEqual([only?.rows, only?.ranges, only?.complete], [0, [], true])
        }
        assert.isUndefined(yield* next(opened))
      }))
  }

  it.live("amp: a range is rows that are not complete, then one batch of no rows that is", () =>
    Effect.gen(function*() {
      const { simulator, stream } = yield* desk({ dialect: "amp", blocks: 6 })
      const [range] = yield* ranges(yield* stream("blocks"), completed)
      assert.deepStrictEqual(range!.batches.map((_) => [_.rows, _.complete]), [[0, false], [6, false], [0, true]])
      const { hash, network, numbers, prev_hash, timestamp } = range!.range
      assert.deepStrictEqual({ numbers, network, hash, prev_hash, timestamp }, {
        numbers: { start: 0, end: 5 },
        network: "anvil",
        hash: simulator.chain.hashAt(5n)!,
        prev_hash: ZERO,
        timestamp: 1_710_000_060
      })
      for (const batch of range!.batches) assert.deepStrictEqual(batch.ranges, [range!.range])
    }))

  it.live("nozzle: metadata contains neither completion nor timestamps", () =>
    Effect.gen(function*() {
      const { stream } = yield* desk({ dialect: "nozzle", blocks: 6 })
      const batch = yield* next(yield* stream("blocks"))
      assert.isUndefined(batch!.complete)
      assert.deepStrictEqual(Object.keys(batch!.ranges[0]!), ["hash", "network", "numbers", "prev_hash"])
    }))

  it.live("nozzle: ranges without rows are not sent", () =>
    Effect.gen(function*() {
      const { simulator, stream } = yield* desk({ dialect: "nozzle", blocks: 20, maxRangeBlocks: 3 })
      const opened = yield* stream("blocks", {}, "WHERE _block_num % 7 = 0")
      assert.deepStrictEqual((yield* ranges(opened, oneBatch, 3)).map(span), [[0, 2], [6, 8], [12, 14]])
      simulator.mine(1)
      simulator.mine(1)
      assert.deepStrictEqual((yield* ranges(opened, oneBatch)).map(span), [[20, 21]])
    }))

  it.live("amp: ranges without rows are completed like any other", () =>
    Effect.gen(function*() {
      const { stream } = yield* desk({ dialect: "amp", blocks: 9, maxRangeBlocks: 3 })
      const opened = yield* stream("blocks", {}, "WHERE _block_num % 7 = 0")
      const delivered = yield* ranges(opened, completed, 3)
      assert.deepStrictEqual(delivered.map((_) => [span(_), rowsOfRange(_).length]), [[[0, 2], 1], [[3, 5], 0], [
        [6, 8],
        1
      ]])
    }))

  it.live("amp: an empty batch shows that a slow server is alive", () =>
    Effect.gen(function*() {
      const { simulator, stream } = yield* desk({ dialect: "amp", blocks: 2, startBlock: 1, keepAlive: "40 millis" })
      simulator.faults.delayMillis = 150
      const [range] = yield* ranges(yield* stream("blocks"), completed)
      const kinds = range!.batches.map((_) => `${_.rows} ${_.complete}`)
      assert.isAtLeast(kinds.filter((_) => _ === "0 false").length, 3)
      assert.deepStrictEqual(kinds.filter((_) => _ !== "0 false"), ["1 false", "0 true"])
    }))

  it.live("amp: the header decides about streaming, on nozzle only the SQL clause", () =>
    Effect.gen(function*() {
      const amp = yield* desk({ dialect: "amp", blocks: 3 })
      const plain = `SELECT * FROM anvil.blocks`
      const finished = yield* Effect.promise(() =>
        amp.reader.batches(`${plain} SETTINGS stream = true`, { "amp-stream": "FALSE" })
      )
      assert.deepStrictEqual(finished.map((_) => [_.rows, _.complete]), [[3, false], [0, true]])
      const endless = yield* Effect.promise(() => amp.reader.open(plain, { "amp-stream": "1" }))
      yield* ranges(endless, completed)
      assert.isTrue(yield* isSilent(endless))
      const nozzle = yield* desk({ dialect: "nozzle", blocks: 3 })
      for (const sql of [plain, `${plain} SETTINGS stream = 1`, `${plain} SETTINGS stream = 'true'`]) {
        const batches = yield* Effect.promise(() => nozzle.reader.batches(sql, { "amp-stream": "true" }))
        assert.deepStrictEqual(batches.map((_) => [_.rows, _.ranges]), [[3, []]], sql)
      }
      const streaming = yield* Effect.promise(() => nozzle.reader.open(`${plain} settings STREAM = True`))
      yield* ranges(streaming, oneBatch)
      assert.isTrue(yield* isSilent(streaming))
    }))

  it.live("several streams are served at once, and a slow reader holds back only its own", () =>
    Effect.gen(function*() {
      const { simulator, stream } = yield* desk({ dialect: "nozzle", blocks: 3000, maxRangeBlocks: 10 })
      yield* next(yield* stream("transactions"))
      let held = -1
      while (held !== simulator.faults.messagesSent) {
        held = simulator.faults.messagesSent
        yield* Effect.sleep("700 millis")
      }
      // 300 ranges of about 60 KB each: what HTTP/2 windows and the reader's buffers do not take stays unmade.
      assert.isBelow(held, 150)
      const fast = yield* stream("blocks")
      assert.deepStrictEqual((yield* ranges(fast, oneBatch, 300)).map(span).at(-1), [2990, 2999])
    }))
})
