import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { rowsOf } from "./arrowFlightReader.ts"
import { desk, isLastOf, isSilent, ranges, rowsOfRange, span, tableOf } from "./streaming.ts"

const UNKNOWN = `0x${"ab".repeat(32)}`

describe("reorgs and cursors of the simulator", () => {
  for (const dialect of ["nozzle", "amp"] as const) {
    const isLast = isLastOf(dialect)

    it.live(`${dialect}: a reorg arrives as a range that begins at the first replaced block, whatever ranges came before`, () =>
      Effect.gen(function*() {
        const { simulator, stream } = yield* desk({ dialect, blocks: 6 })
        const opened = yield* stream("blocks")
        const before = yield* ranges(opened, isLast)
        simulator.mine(1)
        before.push(...(yield* ranges(opened, isLast)))
        assert.deepStrictEqual(before.map(span), [[0, 5], [6, 6]])
        simulator.reorg(2, 4)
        const [replacing] = yield* ranges(opened, isLast)
        assert.deepStrictEqual(span(replacing!), [5, 8])
        assert.strictEqual(replacing!.range.prev_hash, simulator.chain.hashAt(4n))
        assert.notStrictEqual(replacing!.range.prev_hash, before[1]!.range.hash)
        assert.deepStrictEqual(rowsOfRange(replacing!), [...simulator.chain.rows("blocks", 5n, 8n)])
      }))

    it.live(`${dialect}: a reorg stays hidden until the new chain is longer than the old`, () =>
      Effect.gen(function*() {
        const { simulator, stream } = yield* desk({ dialect, blocks: 10 })
        const opened = yield* stream("blocks")
        yield* ranges(opened, isLast)
        const old = simulator.chain.hashAt(9n)
        simulator.reorg(3, 2)
        simulator.mine(1)
        assert.strictEqual(simulator.chain.hashAt(9n), old)
        simulator.mine(1)
        const [replacing] = yield* ranges(opened, isLast)
        assert.deepStrictEqual(span(replacing!), [7, 10])
        assert.deepStrictEqual(rowsOfRange(replacing!), [...simulator.chain.rows("blocks", 7n, 10n)])
      }))

    it.live(`${dialect}: after a canonical cursor the stream goes on with the next block, at the tip it waits`, () =>
      Effect.gen(function*() {
        const { cursor, simulator, stream } = yield* desk({ dialect, blocks: 10 })
        const [middle] = yield* ranges(yield* stream("blocks", cursor(4n)), isLast)
        assert.deepStrictEqual([span(middle!), middle!.range.prev_hash], [[5, 9], simulator.chain.hashAt(4n)!])
        const waiting = stream("blocks", cursor(9n)).pipe(Effect.flatMap((_) => ranges(_, isLast)))
        const mining = Effect.andThen(Effect.sleep("150 millis"), Effect.sync(() => simulator.mine(1)))
        const [atTip] = yield* Effect.all([waiting, mining], { concurrency: 2 })
        assert.deepStrictEqual(atTip.map(span), [[10, 10]])
      }))

    it.live(`${dialect}: from an orphaned cursor the server walks back to the first block that was replaced`, () =>
      Effect.gen(function*() {
        const { cursor, simulator, stream } = yield* desk({ dialect, blocks: 50 })
        const orphaned = cursor(48n)
        simulator.reorg(30)
        simulator.reorg(5)
        const [range] = yield* ranges(yield* stream("blocks", orphaned), isLast)
        assert.deepStrictEqual([span(range!), range!.range.prev_hash], [[20, 51], simulator.chain.hashAt(19n)!])
        assert.deepStrictEqual(rowsOfRange(range!), [...simulator.chain.rows("blocks", 20n)])
      }))

    it.live(`${dialect}: from an unknown hash the stream begins at the number of the cursor itself`, () =>
      Effect.gen(function*() {
        const { cursor, simulator, stream } = yield* desk({ dialect, blocks: 50 })
        const orphaned = cursor(48n)
        simulator.reorg(30)
        simulator.chain.forgetOrphans()
        for (const headers of [orphaned, cursor(48n, UNKNOWN)]) {
          const [range] = yield* ranges(yield* stream("blocks", headers), isLast)
          assert.deepStrictEqual([span(range!), range!.range.prev_hash], [[48, 50], simulator.chain.hashAt(47n)!])
        }
      }))

    it.live(`${dialect}: from an orphaned cursor the server walks back only as far as it remembers`, () =>
      Effect.gen(function*() {
        const { cursor, simulator, stream } = yield* desk({ dialect, blocks: 50 })
        const orphaned = cursor(48n)
        simulator.reorg(30)
        simulator.chain.forgetOrphans(35n)
        const [range] = yield* ranges(yield* stream("blocks", orphaned), isLast)
        assert.deepStrictEqual([span(range!), range!.range.prev_hash], [[35, 50], simulator.chain.hashAt(34n)!])
      }))

    it.live(`${dialect}: beyond a chain that was replaced by a shorter one there is silence, until it has grown`, () =>
      Effect.gen(function*() {
        const { cursor, simulator, stream } = yield* desk({ dialect, blocks: 20 })
        const live = yield* stream("blocks")
        yield* ranges(live, isLast)
        const old = cursor(19n)
        simulator.chain.reset({ blocks: 5 })
        const resumed = stream("blocks", old).pipe(Effect.flatMap((_) => ranges(_, isLast)))
        const growing = Effect.gen(function*() {
          yield* Effect.sleep("100 millis")
          simulator.mine(14)
          yield* Effect.sleep("100 millis")
          simulator.mine(3)
        })
        const [[range]] = yield* Effect.all([resumed, growing], { concurrency: 2 })
        assert.deepStrictEqual([span(range!), range!.range.prev_hash], [[19, 21], simulator.chain.hashAt(18n)!])
        assert.deepStrictEqual((yield* ranges(live, isLast)).map(span), [[19, 21]])
      }))

    it.live(`${dialect}: a server that remembers the replaced chain walks back to its first block`, () =>
      Effect.gen(function*() {
        const { cursor, simulator, stream } = yield* desk({ dialect, blocks: 20 })
        const old = cursor(19n)
        simulator.chain.reset({ blocks: 5, remember: true })
        assert.deepStrictEqual((yield* ranges(yield* stream("blocks", old), isLast)).map(span), [[0, 4]])
      }))

    it.live(`${dialect}: a chain replaced by a shorter one is not noticed until it is longer; then every block is replaced`, () =>
      Effect.gen(function*() {
        const { cursor, reader, simulator, stream } = yield* desk({ dialect, blocks: 20 })
        const live = yield* stream("blocks")
        yield* ranges(live, isLast)
        const old = cursor(19n)
        simulator.chain.replaceByShorter(3)
        simulator.mine(17)
        const headSql = `SELECT hash FROM ${tableOf(dialect, "blocks")} ORDER BY block_num DESC LIMIT 1`
        const [head] = yield* Effect.promise(() => reader.batches(headSql))
        const expected = JSON.parse(old[`${dialect}-resume`]!) as { anvil: { hash: string } }
        assert.deepStrictEqual(rowsOf(head!.batch), [{
          hash: Uint8Array.from(Buffer.from(expected.anvil.hash.slice(2), "hex"))
        }])
        simulator.mine(1)
        for (const opened of [live, yield* stream("blocks", old)]) {
          assert.deepStrictEqual((yield* ranges(opened, isLast)).map(span), [[0, 20]])
        }
      }))

    it.live(`${dialect}: a server that ignores reorgs is silent after one, until a new job notices it`, () =>
      Effect.gen(function*() {
        const { simulator, stream } = yield* desk({ dialect, blocks: 20 })
        const live = yield* stream("blocks")
        yield* ranges(live, isLast)
        simulator.chain.ignoreReorgs()
        simulator.mine(1)
        assert.deepStrictEqual((yield* ranges(live, isLast)).map(span), [[20, 20]])
        simulator.reorg(3)
        simulator.mine(5)
        assert.strictEqual(simulator.chain.tip, 20n)
        simulator.chain.noticeReorgs()
        assert.deepStrictEqual((yield* ranges(live, isLast)).map(span), [[18, 26]])
      }))

    it.live(`${dialect}: a stream from a cursor below the first block of the dataset is silent, however long the chain grows`, () =>
      Effect.gen(function*() {
        const { cursor, simulator, stream } = yield* desk({ dialect, blocks: 25, startBlock: 20 })
        for (const number of [5n, 19n]) {
          const canonical = yield* stream("blocks", cursor(number))
          const unknown = yield* stream("blocks", cursor(number, UNKNOWN))
          simulator.mine(1)
          assert.deepStrictEqual([yield* isSilent(canonical), yield* isSilent(unknown)], [true, true])
        }
      }))

    it.live(`${dialect}: a stream from a cursor beyond the tip is silent`, () =>
      Effect.gen(function*() {
        const { cursor, simulator, stream } = yield* desk({ dialect, blocks: 25 })
        const opened = yield* stream("blocks", cursor(50n, UNKNOWN))
        simulator.mine(10)
        assert.isTrue(yield* isSilent(opened))
      }))

    it.live(`${dialect}: after a reorg below the first block the range begins at the first block, on another parent`, () =>
      Effect.gen(function*() {
        const { cursor, simulator, stream } = yield* desk({ dialect, blocks: 25, startBlock: 20 })
        const [parent, orphaned] = [simulator.chain.hashAt(19n), cursor(24n)]
        simulator.reorg(10)
        const [range] = yield* ranges(yield* stream("blocks", orphaned), isLast)
        assert.deepStrictEqual([span(range!), range!.range.prev_hash], [[20, 25], simulator.chain.hashAt(19n)!])
        assert.notStrictEqual(range!.range.prev_hash, parent)
      }))

    it.live(`${dialect}: a cursor of other networks only is an error of DoGet`, () =>
      Effect.gen(function*() {
        const { reader } = yield* desk({ dialect, blocks: 5 })
        const sql = `SELECT * FROM ${tableOf(dialect, "blocks")} SETTINGS stream = true`
        for (const json of [{}, { mainnet: { number: 1, hash: UNKNOWN } }]) {
          const headers = { [`${dialect}-resume`]: JSON.stringify(json) }
          yield* Effect.promise(() => reader.ticket(sql, headers))
          const error = yield* Effect.promise(() =>
            reader.batches(sql, headers).then(() => undefined, (_: unknown) => _)
          )
          const text = dialect === "nozzle"
            ? "Expected resume watermark for network 'anvil'"
            : "expected cursor for network 'anvil'"
          assert.include(String(error), "INTERNAL")
          assert.include(String(error), text)
        }
      }))

    it.live(`${dialect}: a cursor header that cannot be read means no cursor at all, without an error`, () =>
      Effect.gen(function*() {
        const { stream } = yield* desk({ dialect, blocks: 5 })
        const broken = ["", "nonsense", "[]", `{"anvil":{"number":3}}`, `{"anvil":{"number":3,"hash":"0x12"}}`]
        for (const value of broken) {
          const opened = yield* stream("blocks", { [`${dialect}-resume`]: value })
          assert.deepStrictEqual((yield* ranges(opened, isLast)).map(span), [[0, 4]], value)
        }
      }))

    it.live(`${dialect}: the header of the other dialect is not read`, () =>
      Effect.gen(function*() {
        const { cursor, stream } = yield* desk({ dialect, blocks: 5 })
        const other = dialect === "nozzle" ? "amp-resume" : "nozzle-resume"
        const opened = yield* stream("blocks", { [other]: cursor(2n)[`${dialect}-resume`]! })
        assert.deepStrictEqual((yield* ranges(opened, isLast)).map(span), [[0, 4]])
        assert.isTrue(yield* isSilent(opened))
      }))
  }
})
