import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { NodeBlock, Receipts } from "../../../src/simulator/rpc/nodeAnswers.ts"
import { givenBlock } from "../../../src/simulator/rpc/nodeBlock.ts"
import { fieldsOf, TABLE_NAMES, TABLES } from "../../../src/simulator/tables.ts"

/** A block of Anvil 1.7.1: a legacy transfer, one with an access list, a contract that logs, a transfer of type 2. */
const recorded = JSON.parse(readFileSync(join(import.meta.dirname, "../../fixtures/rpc/anvil-1.7.1.json"), "utf8"))

const decoded = (change: (text: string) => string = (text) => text) => {
  const { block, receipts } = JSON.parse(change(JSON.stringify(recorded)))
  return givenBlock(Schema.decodeUnknownSync(NodeBlock)(block), Schema.decodeUnknownSync(Receipts)(receipts))
}

const hex = (value: unknown): unknown => value instanceof Uint8Array ? `0x${Buffer.from(value).toString("hex")}` : value

const texts = (row: Readonly<Record<string, unknown>>) =>
  Object.fromEntries(Object.entries(row).map(([name, value]) => [name, hex(value)]))

describe("a block of a node", () => {
  it("has exactly the columns of the tables of amp", () => {
    const { rows } = decoded()!
    for (const table of TABLE_NAMES) {
      const columns = fieldsOf(TABLES.amp[table]).map(({ name }) => name)
      assert.isAbove(rows[table].length, 0)
      for (const row of rows[table]) assert.sameMembers(Object.keys(row), columns)
    }
  })

  it("has the header as the node has it", () => {
    const { block } = recorded
    const [row] = decoded()!.rows.blocks
    assert.deepInclude(texts(row!), {
      _block_num: 1n,
      block_num: 1n,
      timestamp: 1_796_000_000_000_000_000n,
      hash: block.hash,
      parent_hash: block.parentHash,
      ommers_hash: block.sha3Uncles,
      receipt_root: block.receiptsRoot,
      logs_bloom: block.logsBloom,
      difficulty: 0n,
      gas_used: BigInt(block.gasUsed),
      extra_data: "0x",
      mix_hash: block.mixHash,
      nonce: 0n,
      base_fee_per_gas: BigInt(block.baseFeePerGas),
      parent_beacon_root: block.parentBeaconBlockRoot,
      requests_hash: block.requestsHash
    })
  })

  it("has the fees, the parity and the lists of a transaction by its type, and the gas up to it", () => {
    const [legacy, withList, creation] = decoded()!.rows.transactions.map(texts)
    assert.deepInclude(legacy, {
      type: 0,
      gas_price: 2_000_000_000n,
      max_fee_per_gas: 2_000_000_000n,
      max_priority_fee_per_gas: null,
      // 0xf4f6 of chain 31337.
      v_parity: true,
      chain_id: 31_337n,
      access_list: null,
      value: "1",
      gas_used: 21_000n
    })
    assert.deepInclude(withList, { type: 1, gas_price: 2_000_000_000n, v_parity: false, gas_used: 46_300n })
    assert.strictEqual((withList!["access_list"] as ReadonlyArray<unknown>).length, 1)
    assert.deepInclude(creation, {
      type: 2,
      to: null,
      gas_price: null,
      v_parity: true,
      tx_index: 2,
      access_list: [],
      status: true,
      state_root: null,
      blob_versioned_hashes: null,
      authorization_list: null
    })
  })

  it("has the logs with the transaction that they are of", () => {
    const [log] = decoded()!.rows.logs.map(texts)
    const { transactions } = recorded.block
    assert.deepInclude(log, {
      tx_index: 2,
      log_index: 0,
      tx_hash: transactions[2].hash,
      topic0: `0x${"2a".padStart(64, "0")}`,
      topic1: null,
      data: `0x${"00".repeat(32)}`
    })
  })

  it("is none where the receipts are of another block", () => {
    const other = `0x${"ab".repeat(32)}`
    assert.isUndefined(
      decoded((text) =>
        text.replaceAll(
          `"blockHash":"${recorded.block.hash}","blockNumber":"0x1","gasUsed"`,
          `"blockHash":"${other}","blockNumber":"0x1","gasUsed"`
        )
      )
    )
    assert.isUndefined(
      givenBlock(Schema.decodeUnknownSync(NodeBlock)(recorded.block), Schema.decodeUnknownSync(Receipts)([]))
    )
  })
})
