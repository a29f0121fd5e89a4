/** A config whose tables are the decoded events of an ABI, synced by the real program: each row is compared with its log. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import type { ExpectedRow } from "../../src/simulator/expected.ts"
import { expectedRows } from "../../src/simulator/expected.ts"
import type { Dialect } from "../../src/simulator/tables.ts"
import { startAmpsync } from "../support/ampsyncProcess.ts"
import { storedRows } from "../support/compare.ts"
import { eventually } from "../support/eventually.ts"
import { temporaryDirectory } from "../support/temporaryDirectory.ts"
import { makeWorld, type World } from "../support/world.ts"

const input = (name: string, type: string, indexed = false) => ({ name, type, indexed })

const ABI = [
  {
    type: "event",
    name: "Transfer",
    inputs: [input("from", "address", true), input("to", "address", true), input("value", "uint256")]
  },
  {
    type: "event",
    name: "Approval",
    inputs: [input("owner", "address", true), input("spender", "address", true), input("", "uint256")]
  },
  {
    type: "event",
    name: "Deposit",
    inputs: [input("amount", "uint128"), input("memo", "string", true), input("data", "bytes")]
  },
  // No log has it, and the two of this name have a table each.
  { type: "event", name: "Approval", inputs: [input("owner", "address", true)] },
  { type: "function", name: "approve", inputs: [] }
]

/** First topics, published: those of every ERC-20 token. */
const TRANSFER = "\\xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
const APPROVAL = "\\x8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b925"

const word = (data: string, at: number): string => data.slice(2 + 64 * at, 66 + 64 * at)
const uint = (data: string, at: number): string => BigInt(`0x${word(data, at)}`).toString()
const address = (topic: string): string => `\\x${topic.slice(-40)}`

/** The logs of the canonical chain whose first topic is `topic0`, as text of PostgreSQL. */
const logsOf = ({ simulator }: World, isWanted: (row: ExpectedRow) => boolean) =>
  [...expectedRows(simulator.chain, "logs", simulator.startBlock)].filter(isWanted)

const common = (log: ExpectedRow): ExpectedRow => ({
  block_hash: log["block_hash"]!,
  tx_hash: log["tx_hash"]!,
  address: log["address"]!,
  block_num: log["block_num"]!,
  timestamp: log["timestamp"]!
})

const sorted = (rows: Iterable<ExpectedRow>): ReadonlyArray<string> =>
  [...rows].map((row) => JSON.stringify(Object.entries(row).toSorted(([a], [b]) => a < b ? -1 : 1))).toSorted()

describe.concurrent.each<Dialect>(["amp", "nozzle"])("a config with eventTables (%s)", (dialect) => {
  it.live("gives each event its table, equal to the logs of the chain, through a reorg", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect, blocks: 40, maxRangeBlocks: 10 })
      const path = join(yield* temporaryDirectory, "amp.config.ts")
      const dependency = dialect === "amp"
        ? "\"_/anvil@0.1.0\""
        : "{ owner: \"_\", name: \"anvil\", version: \"0.1.0\" }"
      yield* Effect.promise(() =>
        writeFile(
          path,
          `import { defineDataset, eventTables } from "@edgeandnode/amp"
export default defineDataset(() => ({
  name: "example", network: "anvil", version: "0.1.0",
  dependencies: { anvil: ${dependency} },
  tables: eventTables(${JSON.stringify(ABI)}, "anvil")
}))
`
        )
      )
      const process = yield* startAmpsync({ ...world.environment, DATASET_MANIFEST: path })
      const holds = (table: string, expected: () => ReadonlyArray<ExpectedRow>) =>
        eventually(
          () => `${table} holds its events; the process wrote:\n${process.output().slice(-3000)}`,
          Effect.gen(function*() {
            const there = yield* world.database.query("SELECT to_regclass($1) IS NOT NULL AS there", [
              `${world.database.schema}.${table}`
            ])
            if (there[0]?.["there"] !== true) return false
            const stored = sorted(yield* storedRows(world.database, table))
            const wanted = sorted(expected())
            return stored.length > 0 && JSON.stringify(stored) === JSON.stringify(wanted)
          })
        )
      const transfers = () =>
        logsOf(world, ({ topic0 }) => topic0 === TRANSFER).map((log) => ({
          ...common(log),
          from: address(log["topic1"]!),
          to: address(log["topic2"]!),
          value: uint(log["data"]!, 0)
        }))
      const approvals = () =>
        logsOf(world, ({ topic0 }) => topic0 === APPROVAL).map((log) => ({
          ...common(log),
          owner: address(log["topic1"]!),
          spender: address(log["topic2"]!),
          arg2: uint(log["data"]!, 0)
        }))
      yield* holds("transfer", transfers)
      yield* holds("approval_address_address_uint256", approvals)
      world.simulator.reorg(7)
      world.simulator.mine(2)
      yield* holds("transfer", transfers)
      yield* holds("approval_address_address_uint256", approvals)
      const types = yield* world.database.query<{ name: string; type: string }>(
        `SELECT c.relname || '.' || attname AS name, format_type(atttypid, atttypmod) AS type
         FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid
         WHERE relnamespace = $1::regnamespace AND attname IN ('value', 'arg2', 'amount', 'memo') AND attnum > 0 ORDER BY 1`,
        [world.database.schema]
      )
      assert.deepStrictEqual(types.map(({ name, type }) => `${name} ${type}`), [
        "approval_address_address_uint256.arg2 numeric(78,0)",
        "deposit.amount numeric(78,0)",
        "deposit.memo bytea",
        "transfer.value numeric(78,0)"
      ])
      const sums = yield* world.database.query<{ wide: boolean }>(
        "SELECT max(value) > 10::numeric ^ 70 AS wide FROM transfer"
      )
      assert.isTrue(sums[0]?.wide, "amounts of all 256 bits occur")
      assert.include(process.output(), "several events are called Approval")
      assert.notInclude(process.output(), "is parked")
    }), 120_000)
})
