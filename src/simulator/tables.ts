/**
 * The tables of an evm-rpc dataset on nozzle and amp servers: names, order, types, nullability.
 *
 * Source: amp, docs/schemas/evm-rpc.md (nozzle) and docs/schemas/tables/evm-rpc.md (amp).
 */
import type { ArrowField, ArrowType } from "../domain/arrow/ArrowSchema.ts"
import { appendValue } from "./appendValue.ts"
import type { BlockSource } from "./BlockSource.ts"
import type { Column } from "./columns.ts"
import * as Fill from "./fill.ts"
import { type Random, wordOf } from "./random.ts"

/** `nozzle`: the server of October 2025; `amp`: that of March 2026. */
export type Dialect = "nozzle" | "amp"

export const TABLE_NAMES = ["blocks", "transactions", "logs"] as const
export type TableName = typeof TABLE_NAMES[number]

export interface TableColumn {
  readonly field: ArrowField
  /** Appends the values of all rows of one block. */
  readonly append: (column: Column, block: BlockSource) => void
}

/** One table: its columns in order. */
export interface Table {
  readonly name: TableName
  readonly columns: ReadonlyArray<TableColumn>
  readonly rowsOf: (block: BlockSource) => number
}

const UINT64: ArrowType = { kind: "int", bits: 64, signed: false }
const UINT32: ArrowType = { kind: "int", bits: 32, signed: false }
const INT32: ArrowType = { kind: "int", bits: 32, signed: true }
const BOOL: ArrowType = { kind: "bool" }
const BINARY: ArrowType = { kind: "binary", offsets: 32 }
const UTF8: ArrowType = { kind: "utf8", offsets: 32 }
const HASH: ArrowType = { kind: "fixedSizeBinary", width: 32 }
const ADDRESS: ArrowType = { kind: "fixedSizeBinary", width: 20 }
const DECIMAL: ArrowType = { kind: "decimal", bits: 128, precision: 38, scale: 0 }
const TIMESTAMP: ArrowType = { kind: "timestamp", unit: "nanosecond", timezone: "+00:00" }
const field = (name: string, type: ArrowType, nullable = false): ArrowField => ({ name, type, nullable })
const listOf = (type: ArrowType): ArrowType => ({ kind: "list", offsets: 32, item: field("item", type) })

type Spec = readonly [name: string, type: ArrowType, nullable: boolean, fill: Fill.Fill]
const required = (name: string, type: ArrowType, fill: Fill.Fill): Spec => [name, type, false, fill]
const optional = (name: string, type: ArrowType, present: Present, fill: Fill.Fill): Spec => [
  name,
  type,
  true,
  Fill.maybe(present, fill)
]
type Present = (random: Random, row: number, block: BlockSource) => boolean
const mostly: Present = (random) => random.chance(80)
const ofType = (...types: ReadonlyArray<number>): Present => (_, row, block) =>
  types.includes(block.transactionTypes[row]!)

const MAX_DECIMAL = 10n ** 38n

/** An amount in wei: mostly everyday sizes, at times beyond 2^64, at times all 38 digits. */
const amount = (random: Random): bigint => {
  const size = random.below(100)
  if (size < 15) return 0n
  if (size < 50) return BigInt(random.next()) * 1_000_000_000n
  if (size < 75) return random.next64()
  if (size < 95) return (random.next64() << 24n) | BigInt(random.below(0x100_0000))
  return size === 99 ? MAX_DECIMAL - 1n : ((random.next64() << 64n) | random.next64()) % MAX_DECIMAL
}

/** The same as text, where the type is not a limit: up to the 78 digits of a uint256. */
const wideAmount = (random: Random): string =>
  (random.chance(5) ? (amount(random) << 128n) | random.next64() : amount(random)).toString()

const gas = (random: Random): bigint => 21_000n + BigInt(random.below(30_000_000))

/** The calldata: rarely empty, mostly some words, at times kilobytes. */
const calldataBytes = (random: Random): number => random.chance(70) ? 4 + 32 * random.below(8) : 4 + random.below(1997)
const logDataBytes = (random: Random): number =>
  random.chance(15) ? 0 : 32 * (1 + random.below(random.chance(15) ? 16 : 4))

const blockNumber = Fill.same64((block) => block.id.number)
const timestamp = Fill.same64((block) => block.timestamp)

const blocks = (dialect: Dialect): ReadonlyArray<Spec> => [
  required("_block_num", UINT64, blockNumber),
  required("block_num", UINT64, blockNumber),
  required("timestamp", TIMESTAMP, timestamp),
  required("hash", HASH, Fill.sameBytes((block) => block.hash)),
  required("parent_hash", HASH, Fill.sameBytes((block) => block.parentHash)),
  required("ommers_hash", HASH, Fill.randomBytes(32)),
  required("miner", ADDRESS, Fill.randomBytes(20)),
  required("state_root", HASH, Fill.randomBytes(32)),
  required("transactions_root", HASH, Fill.randomBytes(32)),
  required("receipt_root", HASH, Fill.randomBytes(32)),
  required("logs_bloom", BINARY, Fill.binary(() => 256)),
  required("difficulty", DECIMAL, Fill.decimal128(amount)),
  ...(dialect === "amp" ? [optional("total_difficulty", DECIMAL, mostly, Fill.decimal128(amount))] : []),
  required("gas_limit", UINT64, Fill.uint64(gas)),
  required("gas_used", UINT64, Fill.uint64(gas)),
  required("extra_data", BINARY, Fill.binary((random) => random.below(33))),
  required("mix_hash", HASH, Fill.randomBytes(32)),
  // A proof-of-work nonce uses all 64 bits: half of them lie above 2^63.
  required("nonce", UINT64, Fill.uint64((random) => random.next64())),
  optional("base_fee_per_gas", DECIMAL, mostly, Fill.decimal128(amount)),
  optional("withdrawals_root", HASH, mostly, Fill.randomBytes(32)),
  optional("blob_gas_used", UINT64, mostly, Fill.uint64(gas)),
  optional("excess_blob_gas", UINT64, mostly, Fill.uint64((random) => random.next64())),
  optional("parent_beacon_root", HASH, mostly, Fill.randomBytes(32)),
  ...(dialect === "amp" ? [optional("requests_hash", HASH, mostly, Fill.randomBytes(32))] : [])
]

const few = (random: Random): number => random.below(4)

const ACCESS: ArrowType = { kind: "struct", fields: [field("address", ADDRESS), field("storage_keys", listOf(HASH))] }
const AUTHORIZATION: ArrowType = {
  kind: "struct",
  fields: [
    field("chain_id", UINT64),
    field("address", ADDRESS),
    field("nonce", UINT64),
    field("y_parity", BOOL),
    field("r", HASH),
    field("s", HASH)
  ]
}
const authorization = Fill.struct(
  Fill.uint64((random) => random.next64()),
  Fill.randomBytes(20),
  Fill.uint64((random) => BigInt(random.next())),
  Fill.bool(50),
  Fill.randomBytes(32),
  Fill.randomBytes(32)
)

const signature = (dialect: Dialect): ReadonlyArray<Spec> =>
  dialect === "nozzle"
    ? [
      required("v", BINARY, Fill.binary(() => 1)),
      required("r", BINARY, Fill.binary((random) => random.chance(90) ? 32 : 31)),
      required("s", BINARY, Fill.binary((random) => random.chance(90) ? 32 : 31))
    ]
    : [
      required("r", HASH, Fill.randomBytes(32)),
      required("s", HASH, Fill.randomBytes(32)),
      required("v_parity", BOOL, Fill.bool(50)),
      optional("chain_id", UINT64, mostly, Fill.uint64((random) => BigInt(random.next())))
    ]

const ampOnly: ReadonlyArray<Spec> = [
  optional("state_root", HASH, (random) => random.chance(30), Fill.randomBytes(32)),
  optional(
    "access_list",
    listOf(ACCESS),
    ofType(1, 2, 3, 4),
    Fill.list(few, Fill.struct(Fill.randomBytes(20), Fill.list(few, Fill.randomBytes(32))))
  ),
  optional("blob_versioned_hashes", listOf(HASH), ofType(3), Fill.list(few, Fill.randomBytes(32))),
  optional("authorization_list", listOf(AUTHORIZATION), ofType(4), Fill.list(few, authorization))
]

const GAS_PRICES = wordOf("gas prices")
const TRANSACTION_GAS = wordOf("gas of transactions")
const gasPrice = (block: BlockSource, row: number): bigint => block.perTransaction(GAS_PRICES, amount)[row]!

/** The receipt's cumulative gas: that is what the servers call `gas_used` of a transaction. */
const cumulativeGas = (block: BlockSource, row: number): bigint =>
  block.perTransaction(TRANSACTION_GAS, gas).reduce((sum, used, i) => i <= row ? sum + used : sum, 0n)

const transactions = (dialect: Dialect): ReadonlyArray<Spec> => [
  required("_block_num", UINT64, blockNumber),
  required("block_hash", HASH, Fill.sameBytes((block) => block.hash)),
  required("block_num", UINT64, blockNumber),
  required("timestamp", TIMESTAMP, timestamp),
  required("tx_index", UINT32, Fill.int32((_, row) => row)),
  required("tx_hash", HASH, Fill.givenBytes(32, (block) => block.transactionHashes)),
  // A transaction without a receiver creates a contract.
  optional("to", ADDRESS, (random) => random.chance(93), Fill.randomBytes(20)),
  required("nonce", UINT64, Fill.uint64((random) => BigInt(random.below(1_000_000)))),
  optional("gas_price", DECIMAL, ofType(0, 1), Fill.decimal128((_, row, block) => gasPrice(block, row))),
  required("gas_limit", UINT64, Fill.uint64(gas)),
  dialect === "nozzle"
    ? required("value", DECIMAL, Fill.decimal128(amount))
    : required("value", UTF8, Fill.utf8(wideAmount)),
  required("input", BINARY, Fill.binary(calldataBytes)),
  ...signature(dialect),
  required("gas_used", UINT64, Fill.uint64((_, row, block) => cumulativeGas(block, row))),
  required("type", INT32, Fill.int32((_, row, block) => block.transactionTypes[row]!)),
  // Without a fee cap the servers fill in the gas price: the column is never null, though it could be.
  optional(
    "max_fee_per_gas",
    DECIMAL,
    () => true,
    Fill.decimal128((random, row, block) => block.transactionTypes[row]! < 2 ? gasPrice(block, row) : amount(random))
  ),
  optional("max_priority_fee_per_gas", DECIMAL, ofType(2, 3, 4), Fill.decimal128(amount)),
  optional("max_fee_per_blob_gas", DECIMAL, ofType(3), Fill.decimal128(amount)),
  required("from", ADDRESS, Fill.randomBytes(20)),
  required("status", BOOL, Fill.bool(94)),
  ...(dialect === "amp" ? ampOnly : [])
]

const transactionHashOfLog = (block: BlockSource): Uint8Array => {
  const hashes = new Uint8Array(block.logs * 32)
  block.transactionOfLog.forEach((transaction, log) => {
    hashes.set(block.transactionHashes.subarray(transaction * 32, transaction * 32 + 32), log * 32)
  })
  return hashes
}

const topic = (index: number): Spec =>
  optional(
    `topic${index}`,
    HASH,
    (_, row, block) => index < block.topicsOfLog[row]!,
    Fill.randomBytesOr(32, (row, block) => block.eventLogs[row]?.topics[index])
  )

const logs: ReadonlyArray<Spec> = [
  required("_block_num", UINT64, blockNumber),
  required("block_hash", HASH, Fill.sameBytes((block) => block.hash)),
  required("block_num", UINT64, blockNumber),
  required("timestamp", TIMESTAMP, timestamp),
  required("tx_hash", HASH, Fill.givenBytes(32, transactionHashOfLog)),
  required("tx_index", UINT32, Fill.int32((_, row, block) => block.transactionOfLog[row]!)),
  required("log_index", UINT32, Fill.int32((_, row) => row)),
  required("address", ADDRESS, Fill.randomBytes(20)),
  topic(0),
  topic(1),
  topic(2),
  topic(3),
  required("data", BINARY, Fill.binary(logDataBytes, (row, block) => block.eventLogs[row]?.data))
]

const tableOf = (
  name: TableName,
  columns: ReadonlyArray<Spec>,
  drawnRowsOf: (block: BlockSource) => number
): Table => ({
  name,
  rowsOf: (block) => block.given?.[name].length ?? drawnRowsOf(block),
  columns: columns.map(([column, type, nullable, fill]) => {
    // One stream of random numbers per column: its values do not depend on which other columns are requested.
    const word = wordOf(`${name}.${column}`)
    return {
      field: field(column, type, nullable),
      append: (target, block) => {
        const given = block.given?.[name]
        if (given === undefined) fill(target, block, drawnRowsOf(block), block.random(word))
        else for (const row of given) appendValue(type, target, row[column] ?? null)
      }
    }
  })
})

const tablesOf = (dialect: Dialect): Readonly<Record<TableName, Table>> => ({
  blocks: tableOf("blocks", blocks(dialect), () => 1),
  transactions: tableOf("transactions", transactions(dialect), (block) => block.transactions),
  logs: tableOf("logs", logs, (block) => block.logs)
})

/** Every table of every dialect. */
export const TABLES: Readonly<Record<Dialect, Readonly<Record<TableName, Table>>>> = {
  nozzle: tablesOf("nozzle"),
  amp: tablesOf("amp")
}

/** The schema of a table. */
export const fieldsOf = (table: Table): ReadonlyArray<ArrowField> => table.columns.map((column) => column.field)
