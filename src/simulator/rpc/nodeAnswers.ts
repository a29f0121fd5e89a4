/**
 * A block and its receipts, as an EVM node returns them.
 *
 * Source: the JSON-RPC of Ethereum, eth_getBlockByNumber and eth_getBlockReceipts.
 */
import { Schema } from "effect"

const Hex = Schema.String.check(Schema.isPattern(/^0x[0-9a-fA-F]*$/))
const Optional = Schema.optional(Schema.NullOr(Hex))

export const Access = Schema.Struct({ address: Hex, storageKeys: Schema.Array(Hex) })
export const Authorization = Schema.Struct({ chainId: Hex, address: Hex, nonce: Hex, yParity: Hex, r: Hex, s: Hex })

export const Transaction = Schema.Struct({
  hash: Hex,
  type: Schema.optional(Hex),
  chainId: Optional,
  nonce: Hex,
  gas: Hex,
  gasPrice: Optional,
  maxFeePerGas: Optional,
  maxPriorityFeePerGas: Optional,
  maxFeePerBlobGas: Optional,
  to: Optional,
  from: Hex,
  value: Hex,
  input: Hex,
  r: Optional,
  s: Optional,
  v: Optional,
  yParity: Optional,
  accessList: Schema.optional(Schema.NullOr(Schema.Array(Access))),
  blobVersionedHashes: Schema.optional(Schema.NullOr(Schema.Array(Hex))),
  authorizationList: Schema.optional(Schema.NullOr(Schema.Array(Authorization)))
})

export const NodeBlock = Schema.Struct({
  number: Hex,
  hash: Hex,
  parentHash: Hex,
  timestamp: Hex,
  sha3Uncles: Hex,
  miner: Hex,
  stateRoot: Hex,
  transactionsRoot: Hex,
  receiptsRoot: Hex,
  logsBloom: Hex,
  difficulty: Hex,
  totalDifficulty: Optional,
  gasLimit: Hex,
  gasUsed: Hex,
  extraData: Hex,
  mixHash: Optional,
  nonce: Optional,
  baseFeePerGas: Optional,
  withdrawalsRoot: Optional,
  blobGasUsed: Optional,
  excessBlobGas: Optional,
  parentBeaconBlockRoot: Optional,
  requestsHash: Optional,
  transactions: Schema.Array(Transaction)
})

export const Log = Schema.Struct({ address: Hex, topics: Schema.Array(Hex), data: Hex, logIndex: Hex })

export const Receipts = Schema.Array(Schema.Struct({
  transactionHash: Hex,
  blockHash: Hex,
  cumulativeGasUsed: Hex,
  status: Optional,
  root: Optional,
  logs: Schema.Array(Log)
}))
