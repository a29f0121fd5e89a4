/** A block and its receipts, as an EVM node returns them, as the rows that an amp server makes of them: the columns of `tables.ts`. */
import type { PlainValue } from "../columns.ts"
import type { GivenBlock } from "../GivenBlocks.ts"
import type { Access, Authorization, Log, NodeBlock, Receipts, Transaction } from "./nodeAnswers.ts"

type Row = { readonly [column: string]: PlainValue }
type Given = string | null | undefined

const NANOS = 1_000_000_000n
/** The last envelope whose signature and lists the servers know; others have a signature of zeros and no lists. */
const LAST_KNOWN_TYPE = 4n

const bytes = (hex: string): Uint8Array =>
  Uint8Array.from(Buffer.from(hex.length % 2 === 0 ? hex.slice(2) : `0${hex.slice(2)}`, "hex"))

/** A number as `width` bytes, big endian. */
const word = (hex: Given, width = 32): Uint8Array => bytes(`0x${(hex ?? "0x").slice(2).padStart(width * 2, "0")}`)
const optionalBytes = (hex: Given): Uint8Array | null => hex === null || hex === undefined ? null : bytes(hex)
const optionalNumber = (hex: Given): bigint | null => hex === null || hex === undefined ? null : BigInt(hex)

/** The parity of a signature: by itself, or in the `v` of a legacy transaction with or without a chain. */
const parityOf = ({ v, yParity }: typeof Transaction.Type): boolean => {
  if (yParity !== null && yParity !== undefined) return BigInt(yParity) === 1n
  const value = BigInt(v ?? "0x0")
  return value >= 35n ? (value - 35n) % 2n === 1n : value === 28n || value === 1n
}

const accessOf = ({ address, storageKeys }: typeof Access.Type): PlainValue => ({
  address: bytes(address),
  storage_keys: storageKeys.map(bytes)
})

const authorizationOf = (one: typeof Authorization.Type): PlainValue => ({
  chain_id: BigInt(one.chainId),
  address: bytes(one.address),
  nonce: BigInt(one.nonce),
  y_parity: BigInt(one.yParity) !== 0n,
  r: word(one.r),
  s: word(one.s)
})

const headerRow = (block: typeof NodeBlock.Type, timestamp: bigint): Row => ({
  _block_num: BigInt(block.number),
  block_num: BigInt(block.number),
  timestamp,
  hash: bytes(block.hash),
  parent_hash: bytes(block.parentHash),
  ommers_hash: bytes(block.sha3Uncles),
  miner: bytes(block.miner),
  state_root: bytes(block.stateRoot),
  transactions_root: bytes(block.transactionsRoot),
  receipt_root: bytes(block.receiptsRoot),
  logs_bloom: bytes(block.logsBloom),
  difficulty: BigInt(block.difficulty),
  total_difficulty: optionalNumber(block.totalDifficulty),
  gas_limit: BigInt(block.gasLimit),
  gas_used: BigInt(block.gasUsed),
  extra_data: bytes(block.extraData),
  mix_hash: word(block.mixHash),
  nonce: BigInt(block.nonce ?? "0x0"),
  base_fee_per_gas: optionalNumber(block.baseFeePerGas),
  withdrawals_root: optionalBytes(block.withdrawalsRoot),
  blob_gas_used: optionalNumber(block.blobGasUsed),
  excess_blob_gas: optionalNumber(block.excessBlobGas),
  parent_beacon_root: optionalBytes(block.parentBeaconBlockRoot),
  requests_hash: optionalBytes(block.requestsHash)
})

/** What every row of a block begins with. */
type Common = Readonly<Record<"_block_num" | "block_hash" | "block_num" | "timestamp", PlainValue>>
type Receipt = (typeof Receipts.Type)[number]

const transactionRow = (common: Common, one: typeof Transaction.Type, receipt: Receipt, index: number): Row => {
  const type = BigInt(one.type ?? "0x0")
  const isKnown = type <= LAST_KNOWN_TYPE
  return {
    ...common,
    tx_index: index,
    tx_hash: bytes(one.hash),
    to: optionalBytes(one.to),
    nonce: BigInt(one.nonce),
    gas_price: type < 2n ? optionalNumber(one.gasPrice) : null,
    gas_limit: BigInt(one.gas),
    value: BigInt(one.value).toString(),
    input: bytes(one.input),
    r: word(isKnown ? one.r : undefined),
    s: word(isKnown ? one.s : undefined),
    v_parity: isKnown && parityOf(one),
    chain_id: optionalNumber(one.chainId),
    // The servers have the gas of the block up to this transaction here.
    gas_used: BigInt(receipt.cumulativeGasUsed),
    type: Number(type),
    max_fee_per_gas: optionalNumber(one.maxFeePerGas ?? one.gasPrice),
    max_priority_fee_per_gas: optionalNumber(one.maxPriorityFeePerGas),
    max_fee_per_blob_gas: optionalNumber(one.maxFeePerBlobGas),
    from: bytes(one.from),
    // Before Byzantium a receipt had a root instead.
    status: receipt.status === null || receipt.status === undefined || BigInt(receipt.status) === 1n,
    state_root: optionalBytes(receipt.root),
    access_list: isKnown && type > 0n ? (one.accessList ?? []).map(accessOf) : null,
    blob_versioned_hashes: type === 3n ? (one.blobVersionedHashes ?? []).map(bytes) : null,
    authorization_list: type === 4n ? (one.authorizationList ?? []).map(authorizationOf) : null
  }
}

const logRow = (common: Common, log: typeof Log.Type, receipt: Receipt, index: number): Row => {
  const [topic0, topic1, topic2, topic3] = log.topics.map(bytes)
  return {
    ...common,
    tx_hash: bytes(receipt.transactionHash),
    tx_index: index,
    log_index: Number(log.logIndex),
    address: bytes(log.address),
    topic0: topic0 ?? null,
    topic1: topic1 ?? null,
    topic2: topic2 ?? null,
    topic3: topic3 ?? null,
    data: bytes(log.data)
  }
}

/** The rows of a block; undefined where the receipts are those of another one, which a reorg put in its place meanwhile. */
export const givenBlock = (block: typeof NodeBlock.Type, receipts: typeof Receipts.Type): GivenBlock | undefined => {
  const isSame = receipts.length === block.transactions.length &&
    receipts.every((receipt, i) =>
      receipt.blockHash === block.hash && receipt.transactionHash === block.transactions[i]!.hash
    )
  if (!isSame) return undefined
  const timestamp = BigInt(block.timestamp) * NANOS
  const number = BigInt(block.number)
  const common = { _block_num: number, block_hash: bytes(block.hash), block_num: number, timestamp }
  return {
    number,
    hash: bytes(block.hash),
    parentHash: bytes(block.parentHash),
    timestamp,
    rows: {
      blocks: [headerRow(block, timestamp)],
      transactions: block.transactions.map((one, i) => transactionRow(common, one, receipts[i]!, i)),
      logs: receipts.flatMap((receipt, i) => receipt.logs.map((log) => logRow(common, log, receipt, i)))
    }
  }
}
