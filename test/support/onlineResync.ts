/** What tests of `resync --online` have in common. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { secondSchema } from "../../src/layers/table-exchange/secondTable.ts"
import { type AmpsyncProcess, startAmpsync } from "./ampsyncProcess.ts"
import type { World } from "./world.ts"

export const columns = ["_block_num", "block_num", "hash"]
export const queries = { blocks: `SELECT ${columns.join(", ")} FROM anvil.blocks` }

export const resync = (world: World, ...args: ReadonlyArray<string>) =>
  startAmpsync(world.environment, ["resync", "--online", "--yes", ...args])

export const ends = Effect.fnUntraced(function*(run: AmpsyncProcess, code: number) {
  assert.strictEqual((yield* run.exited).code, code, run.output())
})

/** A row is wrong, one is missing, and one is too much. */
export const damage = ({ database }: World) =>
  database.query(
    `UPDATE blocks SET hash = '\\x00' WHERE _block_num = 5; DELETE FROM blocks WHERE _block_num = 9;
     INSERT INTO blocks (_block_num, block_num, hash, _row_index) VALUES (12, 12, '\\x01', 1)`
  )

/** Those of the second tables that are there. */
export const secondSchemas = ({ database }: World, tables: ReadonlyArray<string> = ["blocks"]) =>
  Effect.map(
    database.query<{ name: string }>("SELECT nspname AS name FROM pg_namespace WHERE nspname = ANY($1)", [
      tables.map((table) => secondSchema(database.schema, table))
    ]),
    (rows) => rows.map(({ name }) => name)
  )

/** The old rows of the damaged blocks, or the new ones, and how many rewinds readers were told of, as one snapshot has them. */
export const STATE = `SELECT (SELECT count(*) FROM _ampsync_reorgs WHERE new_hash IS NULL) || ' ' || (
  SELECT md5(string_agg(_block_num || ' ' || encode(hash, 'hex'), ' ' ORDER BY _block_num, _row_index)) FROM blocks
  WHERE _block_num <= 20) AS state`
