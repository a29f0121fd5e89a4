import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { writeFile } from "node:fs/promises"
import { startAmpsync } from "../support/ampsyncProcess.ts"
import { differences } from "../support/compare.ts"
import { eventually } from "../support/eventually.ts"
import { awaitCanonicalChain } from "../support/snapshots.ts"
import { allTables, makeWorld, manifestOf } from "../support/world.ts"

describe("settings of tables in the config file", () => {
  it.live(
    "I4 set types, keys, comments and indexes, and a duplicate under a key parks that table alone, without retries",
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect: "amp", blocks: 30 })
        const { query, schema } = world.database
        const { tables, ...rest } = manifestOf("amp", { ...allTables, once: "SELECT * FROM anvil.transactions" }) as {
          tables: Record<string, object>
        }
        const manifest = {
          ...rest,
          tables: {
            blocks: { ...tables["blocks"], comment: "canonical blocks" },
            transactions: {
              ...tables["transactions"],
              columns: { value: { type: "numeric(78,0)" } },
              primaryKey: ["tx_hash"],
              indexes: [["from", "block_num"], ["to"]]
            },
            logs: {
              ...tables["logs"],
              columns: { log_index: { type: "numeric" } },
              primaryKey: ["block_num", "log_index"]
            },
            once: { ...tables["once"], primaryKey: ["block_num"] }
          }
        }
        yield* Effect.promise(() => writeFile(world.manifestPath, JSON.stringify(manifest)))
        const process = yield* startAmpsync(world.environment)
        yield* process.prints("Table 'once' is parked until the config changes or ampsync is started again: ")
        assert.match(process.output(), /a row has the key of another row \(.*constraint once_pkey\)/)
        yield* awaitCanonicalChain(world)
        for (const table of ["blocks", "transactions", "logs"] as const) {
          assert.deepStrictEqual(yield* differences(world, table), [])
        }
        yield* eventually(
          "both indexes are there",
          Effect.map(
            query(
              `SELECT 1 FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
             WHERE i.indrelid = '${schema}.transactions'::regclass AND i.indisvalid AND c.relname LIKE 'transactions\\_%\\_idx\\_%'`
            ),
            (rows) => rows.length === 2
          )
        )
        yield* process.prints(/Table 'transactions' has index transactions_to_idx_[0-9a-f]{8}/)
        assert.deepStrictEqual(
          yield* query(
            `SELECT format_type(atttypid, atttypmod) AS type, obj_description('blocks'::regclass) AS comment
           FROM pg_attribute WHERE attrelid = 'transactions'::regclass AND attname = 'value'`
          ),
          [{ type: "numeric(78,0)", comment: "canonical blocks" }]
        )
        const attempts = process.output().split("Table 'once' is parked").length - 1
        assert.strictEqual(attempts, 1)
        assert.deepStrictEqual(yield* query("SELECT count(*)::int AS rows FROM once"), [{ rows: 0 }])

        // Reorgs reach a table with a key of its own as they do any other.
        world.simulator.chain.reorg(4)
        yield* awaitCanonicalChain(world)
        for (const table of ["blocks", "transactions", "logs"] as const) {
          assert.deepStrictEqual(yield* differences(world, table), [])
        }
      }),
    90_000
  )
})
