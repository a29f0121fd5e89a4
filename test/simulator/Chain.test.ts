import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import { Chain } from "../../src/simulator/Chain.ts"
import type { PlainRow } from "../../src/simulator/Chain.ts"
import { TABLE_NAMES, TABLES } from "../../src/simulator/tables.ts"

const chainOf = (blocks = 200, seed = 1) => new Chain({ seed, dialect: "amp", blocks })
const hashes = (chain: Chain) => Array.from({ length: Number(chain.tip) + 1 }, (_, i) => chain.hashAt(BigInt(i)))
const hexOf = (value: unknown) => `0x${Buffer.from(value as Uint8Array).toString("hex")}`

/** mine(n), reorg(depth, newLength), forgetOrphans or reset, as numbers that fit any chain. */
const steps = Arbitrary.array(
  Arbitrary.schema(Schema.Struct({
    kind: Schema.Literals(["mine", "reorg"]),
    amount: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 6 })),
    length: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 8 }))
  })),
  { minLength: 1, maxLength: 25 }
)

describe("Chain", () => {
  it("the same seed gives the same rows, another seed or another fork does not", () => {
    const rows = (chain: Chain) => [...chain.rows("logs", 0n, 20n)]
    assert.deepStrictEqual(rows(chainOf()), rows(chainOf()))
    assert.notDeepEqual(rows(chainOf()), rows(chainOf(200, 2)))
    const reorganised = chainOf(21)
    reorganised.reorg(21, 22)
    assert.notDeepEqual(rows(reorganised), rows(chainOf()))
  })

  it.prop("every block names the hash of the block before it, whatever happened", { steps }, ({ steps }) => {
    const chain = chainOf(10)
    for (const { amount, kind, length } of steps) {
      const before = chain.tip
      if (kind === "mine") chain.mine(amount)
      else if (BigInt(amount) <= chain.tip + 1n) tryReorg(chain, amount, length)
      assert.isTrue(chain.tip >= before, "the visible chain never gets shorter")
    }
    let parent = `0x${"0".repeat(64)}`
    for (const row of chain.rows("blocks")) {
      assert.strictEqual(hexOf(row["parent_hash"]), parent)
      parent = hexOf(row["hash"])
      assert.strictEqual(parent, chain.hashAt(row["block_num"] as bigint))
    }
    assert.strictEqual(new Set(hashes(chain)).size, hashes(chain).length)
  })

  it.prop("every block that was ever visible is found again by number and hash", { steps }, ({ steps }) => {
    const chain = chainOf(10)
    const seen = new Map<string, bigint>()
    for (const { amount, kind, length } of steps) {
      hashes(chain).forEach((hash, number) => seen.set(hash!, BigInt(number)))
      if (kind === "mine") chain.mine(amount)
      else tryReorg(chain, amount, length)
    }
    for (const [hash, number] of seen) {
      const block = chain.find(number, hash)
      assert.isDefined(block)
      assert.strictEqual(chain.isCanonical(block!), chain.hashAt(number) === hash)
    }
    chain.forgetOrphans()
    for (const [hash, number] of seen) {
      assert.strictEqual(chain.find(number, hash) !== undefined, chain.hashAt(number) === hash)
    }
  })

  it("resembles a real chain: empty blocks, several transactions and logs, nulls, and numbers beyond every machine word", () => {
    const chain = chainOf(400)
    const rows = Object.fromEntries(TABLE_NAMES.map((table) => [table, [...chain.rows(table)]])) as Record<
      string,
      ReadonlyArray<PlainRow>
    >
    assert.strictEqual(rows["blocks"]!.length, 400)
    const perBlock = new Map<unknown, number>()
    for (const row of rows["logs"]!) perBlock.set(row["block_num"], (perBlock.get(row["block_num"]) ?? 0) + 1)
    assert.isBelow(perBlock.size, 400)
    assert.isAbove(rows["logs"]!.length / 400, 8)
    assert.isTrue(rows["blocks"]!.some((row) => (row["nonce"] as bigint) >= 1n << 63n))
    assert.isTrue(rows["blocks"]!.some((row) => (row["difficulty"] as bigint) > 1n << 64n))
    assert.isTrue(
      rows["transactions"]!.some((row) => (row["gas_price"] as bigint | null ?? 0n).toString().length === 38)
    )
    assert.isTrue(rows["transactions"]!.some((row) => (row["value"] as string).length > 38))
    assert.isTrue(rows["blocks"]!.some((row) => (row["timestamp"] as bigint) % 1000n !== 0n))
    const lengths = rows["logs"]!.map((row) => (row["data"] as Uint8Array).length)
    assert.isTrue(Math.min(...lengths) === 0 && Math.max(...lengths) > 256)
    for (const table of TABLE_NAMES) {
      for (const { field } of TABLES.amp[table].columns) {
        const nulls = rows[table]!.filter((row) => row[field.name] === null).length
        // The servers declare it nullable and always fill it.
        const canBeNull = field.nullable && field.name !== "max_fee_per_gas"
        assert.strictEqual(nulls > 0, canBeNull, `${table}.${field.name}`)
        assert.isBelow(nulls, rows[table]!.length, `${table}.${field.name} is not always null`)
      }
    }
  })

  it("has the columns of nozzle and amp servers in their order", () => {
    const names = (dialect: "nozzle" | "amp", table: "blocks" | "transactions") =>
      TABLES[dialect][table].columns.map((column) => column.field.name).join(" ")
    assert.strictEqual(
      names("nozzle", "blocks"),
      "_block_num block_num timestamp hash parent_hash ommers_hash miner state_root transactions_root receipt_root logs_bloom difficulty gas_limit gas_used extra_data mix_hash nonce base_fee_per_gas withdrawals_root blob_gas_used excess_blob_gas parent_beacon_root"
    )
    assert.strictEqual(
      names("nozzle", "transactions"),
      "_block_num block_hash block_num timestamp tx_index tx_hash to nonce gas_price gas_limit value input v r s gas_used type max_fee_per_gas max_priority_fee_per_gas max_fee_per_blob_gas from status"
    )
    assert.strictEqual(
      names("amp", "transactions"),
      "_block_num block_hash block_num timestamp tx_index tx_hash to nonce gas_price gas_limit value input r s v_parity chain_id gas_used type max_fee_per_gas max_priority_fee_per_gas max_fee_per_blob_gas from status state_root access_list blob_versioned_hashes authorization_list"
    )
    assert.include(names("amp", "blocks"), "difficulty total_difficulty gas_limit")
    assert.match(names("amp", "blocks"), / requests_hash$/)
  })

  it("relates its tables: transactions of a log exist, counts agree with rows", () => {
    const chain = chainOf(60)
    const transactions = new Map([...chain.rows("transactions")].map((row) => [hexOf(row["tx_hash"]), row]))
    for (const log of chain.rows("logs")) {
      const transaction = transactions.get(hexOf(log["tx_hash"]))
      assert.deepStrictEqual(
        [transaction?.["tx_index"], transaction?.["block_num"], transaction?.["timestamp"]],
        [log["tx_index"], log["block_num"], log["timestamp"]]
      )
    }
    for (const table of TABLE_NAMES) assert.strictEqual(chain.countRows(table), [...chain.rows(table)].length)
  })

  it("goes back to the chain before a reorg, with the same hashes and new blocks, and forth again", () => {
    const chain = chainOf(10)
    chain.returnToReplaced()
    assert.strictEqual(chain.tip, 9n)
    const first = hashes(chain)
    chain.reorg(4, 6)
    const second = hashes(chain)
    chain.returnToReplaced()
    assert.deepStrictEqual(hashes(chain).slice(0, 10), first)
    assert.strictEqual(chain.tip, 12n)
    const [added] = hashes(chain).slice(-1)
    assert.notInclude([...first, ...second], added)
    chain.returnToReplaced()
    assert.deepStrictEqual(hashes(chain).slice(0, 12), second)
    assert.strictEqual(chain.reorgs, 3)
    assert.isDefined(chain.find(12n, added!))
  })

  it("has as many transactions in a block as are asked for, and draws the others", () => {
    const chain = new Chain({ seed: 1, dialect: "amp", blocks: 30, transactionsAt: (n) => n === 7n ? 400 : undefined })
    assert.strictEqual(chain.countRows("transactions", 7n, 7n), 400)
    assert.strictEqual(chain.countRows("transactions", 8n, 29n), chainOf(30).countRows("transactions", 8n, 29n))
    assert.strictEqual(chain.hashAt(7n), chainOf(30).hashAt(7n))
  })
})

/** A reorg of the newest chain, hidden or not, where it is long enough for one. */
const tryReorg = (chain: Chain, depth: number, length: number): void => {
  try {
    chain.reorg(depth, length)
  } catch (error) {
    assert.instanceOf(error, RangeError)
  }
}
