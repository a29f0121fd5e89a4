/** Queries of decoded events, as `eventTables` of a config makes them. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { PlainValue } from "../../../src/simulator/columns.ts"
import { rowsOf } from "../arrowFlightReader.ts"
import { completed, type Desk, desk, oneBatch, ranges, rowsOfRange, tableOf } from "../streaming.ts"

type Row = Record<string, PlainValue>

const TRANSFER = "Transfer(address indexed from, address indexed to, uint256 value)"
const DEPOSIT = "Deposit(uint128 amount, string indexed memo, bytes data)"
const SETTLED =
  "Settled(bytes32 indexed id, int256 delta, bool final, uint8 kind, int64 change, address payer, bytes4 selector, string note, uint256[] amounts, (address owner, uint96 stake, string label) position)"
/** Published: the event of every ERC-20 token. */
const TRANSFER_TOPIC = "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"

const hexOf = (value: PlainValue | undefined): string => Buffer.from(value as Uint8Array).toString("hex")
const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, "hex"))
/** Word `i` of the data of a log, in hexadecimal. */
const word = (row: Row, i: number): string => hexOf(row["data"]).slice(i * 64, i * 64 + 64)
const uint = (row: Row, i: number): bigint => BigInt(`0x${word(row, i)}`)
const int = (row: Row, i: number): bigint => BigInt.asIntN(256, uint(row, i))
/** The bytes after the length at byte `at`. */
const behindLength = (row: Row, at: number): Uint8Array => {
  const length = Number(uint(row, at / 32))
  return (row["data"] as Uint8Array).slice(at + 32, at + 32 + length)
}
const behindOffset = (row: Row, i: number): Uint8Array => behindLength(row, Number(uint(row, i)))
const text = (value: Uint8Array): string => Buffer.from(value).toString()
const addressOfTopic = (topic: PlainValue | undefined): Uint8Array => (topic as Uint8Array).slice(12)

const decode = (signature: string) => `evm_decode_log(topic1, topic2, topic3, data, '${signature}')`

const batchRows = ({ reader }: Desk, sql: string) =>
  Effect.map(
    Effect.promise(() => reader.batches(sql)),
    (batches) => batches.flatMap(({ batch }) => rowsOf(batch)) as ReadonlyArray<Row>
  )

/** The plain rows of the logs whose first topic is `topic0`. */
const logsWith = ({ simulator }: Desk, topic0: string): ReadonlyArray<Row> =>
  ([...simulator.chain.rows("logs")] as ReadonlyArray<Row>).filter((row) =>
    row["topic0"] !== null && hexOf(row["topic0"]) === topic0
  )

/** First topic of an event, as the server computes it. */
const topicOf = (opened: Desk, table: string, signature: string) =>
  Effect.map(
    batchRows(opened, `SELECT evm_topic('${signature}') AS t FROM ${table} WHERE block_num < 9`),
    ([row]) => hexOf(row!["t"])
  )

describe("decoded events of the simulator", () => {
  for (const dialect of ["nozzle", "amp"] as const) {
    const options = { dialect, blocks: 40, maxRangeBlocks: 40 } as const
    const table = tableOf(dialect, "logs")

    it.live(`${dialect}: a stream of decoded transfers has what topics and data of the logs contain`, () =>
      Effect.gen(function*() {
        const opened = yield* desk(options)
        const expected = logsWith(opened, TRANSFER_TOPIC).map((row) => ({
          _block_num: row["_block_num"]!,
          block_hash: row["block_hash"]!,
          address: row["address"]!,
          from: addressOfTopic(row["topic1"]),
          to: addressOfTopic(row["topic2"]),
          value: uint(row, 0).toString()
        }))
        assert.isAbove(expected.length, 30)
        assert.isTrue(expected.some(({ value }) => value === ((1n << 256n) - 1n).toString()))
        const plain = ["_block_num", "block_hash", "address"].join(", ")
        const fields = ["from", "to", "value"]
        const calls = fields.map((name) => `${decode(TRANSFER)}['${name}'] AS "${name}"`).join(", ")
        const where = `WHERE topic0 = evm_topic('${TRANSFER}')`
        for (
          const sql of [
            `SELECT ${plain}, ${calls} FROM ${table} ${where}`,
            `SELECT ${plain}, ${fields.map((name) => `event['${name}'] AS "${name}"`).join(", ")} ` +
            `FROM (SELECT ${plain}, ${decode(TRANSFER)} AS event FROM ${table} ${where}) AS e`,
            `SELECT ${plain}, e.event [ 'from' ] "from", e.event['to'] AS "to", e.event['value'] AS "value"\n` +
            `FROM (SELECT ${plain}, topic0, ${
              decode(TRANSFER)
            } AS event FROM ${table}) e WHERE evm_topic('${TRANSFER}') = e.topic0`
          ]
        ) {
          const stream = yield* Effect.promise(() => opened.reader.open(`${sql} SETTINGS stream = true`))
          const [range] = yield* ranges(stream, dialect === "amp" ? completed : oneBatch)
          assert.deepStrictEqual(rowsOfRange(range!), expected, sql)
          yield* Effect.promise(stream.close)
        }
      }))

    it.live(`${dialect}: every kind of value is decoded`, () =>
      Effect.gen(function*() {
        const opened = yield* desk(options)
        const deposits = yield* batchRows(
          opened,
          `SELECT ${decode(DEPOSIT)} AS event FROM ${table} WHERE topic0 = evm_topic('${DEPOSIT}')`
        )
        const depositLogs = logsWith(opened, yield* topicOf(opened, table, "Deposit(uint128,string indexed,bytes)"))
        assert.isAbove(deposits.length, 5)
        assert.deepStrictEqual(
          deposits,
          depositLogs.map((row) => ({
            event: { amount: uint(row, 0), memo: row["topic1"]!, data: behindOffset(row, 1) }
          }))
        )
        const settled = yield* batchRows(
          opened,
          `SELECT ${decode(SETTLED)} AS event FROM ${table} WHERE topic0 = evm_topic('${SETTLED}')`
        )
        const settledLogs = logsWith(opened, yield* topicOf(opened, table, SETTLED))
        assert.isAbove(settled.length, 5)
        assert.deepStrictEqual(
          settled,
          settledLogs.map((row) => {
            const [amounts, position] = [Number(uint(row, 7)) / 32, Number(uint(row, 8)) / 32]
            return {
              event: {
                id: row["topic1"]!,
                delta: int(row, 0).toString(),
                final: uint(row, 1) === 1n,
                kind: Number(uint(row, 2)),
                change: int(row, 3),
                payer: bytes(word(row, 4).slice(24)),
                selector: bytes(word(row, 5).slice(0, 8)),
                note: text(behindOffset(row, 6)),
                amounts: Array.from(
                  { length: Number(uint(row, amounts)) },
                  (_, i) => uint(row, amounts + 1 + i).toString()
                ),
                position: {
                  c0: bytes(word(row, position).slice(24)),
                  c1: uint(row, position + 1),
                  c2: text(behindLength(row, position * 32 + Number(uint(row, position + 2))))
                }
              }
            }
          })
        )
        assert.isTrue(settledLogs.some((row) => int(row, 0) < 0n))
      }))

    it.live(`${dialect}: a log of another event is NULL, and conditions on block and event go together`, () =>
      Effect.gen(function*() {
        const opened = yield* desk(options)
        const all = yield* batchRows(opened, `SELECT topic0, ${decode(TRANSFER)}['value'] AS v FROM ${table}`)
        assert.strictEqual(all.length, opened.simulator.chain.countRows("logs"))
        assert.isTrue(all.some(({ v }) => v === null))
        assert.isTrue(all.every(({ topic0, v }) => topic0 === null || hexOf(topic0) !== TRANSFER_TOPIC || v !== null))
        const transfers = logsWith(opened, TRANSFER_TOPIC).filter((row) => Number(row["block_num"]) < 20)
        const where = `WHERE block_num < 20 AND topic0 = evm_topic('${TRANSFER}')`
        const some = yield* batchRows(opened, `SELECT log_index, block_num FROM ${table} ${where}`)
        assert.deepStrictEqual(
          some,
          transfers.map((row) => ({ log_index: row["log_index"]!, block_num: row["block_num"]! }))
        )
        const counted = yield* batchRows(opened, `SELECT count(*) AS n FROM ${table} ${where}`)
        assert.deepStrictEqual(counted, [{ n: BigInt(transfers.length) }])
      }))

    it.live(`${dialect}: a call that cannot be planned is rejected with the problem`, () =>
      Effect.gen(function*() {
        const { reader } = yield* desk(options)
        const cases = {
          [`${decode(TRANSFER)}['amount']`]: "amount",
          [`topic1['from']`]: "topic1",
          [decode("Transfer(address")]: "'Transfer(address' is not an event signature",
          [`evm_topic('Transfer(uint7 a)')`]: "'Transfer(uint7 a)' is not an event signature",
          [`evm_topic(topic0)`]: "evm_topic",
          [`evm_topic('A()', 'B()')`]: "expected 1 arguments but received 2",
          [`evm_decode_log(topic1, data, '${TRANSFER}')`]: "expected 5 arguments but received 3",
          [`evm_decode_log(topic1, topic2, data, topic3, '${TRANSFER}')`]: "evm_decode_log",
          [`evm_decode_log(topic1, topic2, nothing, data, '${TRANSFER}')`]: "No field named nothing"
        }
        for (const [expression, words] of Object.entries(cases)) {
          const failure = yield* Effect.promise(() =>
            reader.ticket(`SELECT ${expression} AS x FROM ${table}`).then(() => "no failure", String)
          )
          assert.include(
            failure,
            dialect === "amp" ? "failed to infer SQL output schema" : "planning error",
            expression
          )
          assert.include(failure, "INTERNAL", expression)
          assert.include(failure, words, expression)
        }
      }))
  }
})
