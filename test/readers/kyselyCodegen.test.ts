import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { promisify } from "node:util"
import { Pool } from "pg"
import type { TestDatabase } from "../support/postgres.ts"
import { everyTable, ROWS } from "./everyType.ts"

interface Query {
  readonly selectFrom: (table: string) => Query
  readonly selectAll: () => Query
  readonly select: (columns: ReadonlyArray<string>) => Query
  readonly where: (column: string, operator: string, value: unknown) => Query
  readonly withSchema: (schema: string) => Query
  readonly execute: () => Promise<ReadonlyArray<Record<string, unknown>>>
}

const require = createRequire(import.meta.url)
const { Kysely, PostgresDialect }: {
  readonly Kysely: new(options: { readonly dialect: unknown }) => Query & { readonly destroy: () => Promise<void> }
  readonly PostgresDialect: new(options: { readonly pool: Pool }) => unknown
} = require("kysely")
const command = join(dirname(require.resolve("kysely-codegen/package.json")), "dist/cli/bin.js")

/** What `kysely-codegen` writes for the schema of a test: interface -> column -> type. */
const generated = ({ schema, url }: TestDatabase) =>
  Effect.promise(async () => {
    const args = [
      "--dialect=postgres",
      `--url=${url}`,
      "--print",
      `--default-schema=${schema}`,
      `--include-pattern=${schema}.*`
    ]
    const { stdout } = await promisify(execFile)(process.execPath, [command, ...args], { timeout: 30_000 })
    return new Map(
      [...stdout.matchAll(/^export interface (\w+) \{\n([^}]*)^\}/gm)].map(([, name, body]) => [
        name!,
        new Map([...body!.matchAll(/^ {2}(.+?): (.+);$/gm)].map(([, column, type]) => [column!, type!]))
      ])
    )
  })

describe("kysely-codegen on tables that were synced", () => {
  it.live("makes a type for every column, with its nulls, and none is unknown", () =>
    Effect.gen(function*() {
      const { database } = yield* everyTable
      const types = yield* generated(database)
      const everything = types.get("Everything") ?? assert.fail("no interface")
      const columns = yield* database.query<{ name: string; type: string; nullable: boolean }>(
        `SELECT attname AS name, format_type(atttypid, NULL) AS type, NOT attnotnull AS nullable FROM pg_attribute
         WHERE attrelid = 'everything'::regclass AND attnum > 0 AND NOT attisdropped`
      )
      assert.strictEqual(everything.size, columns.length)
      const expected: Record<string, string> = {
        bigint: "Int8",
        boolean: "boolean",
        bytea: "Buffer",
        date: "Timestamp",
        "double precision": "number",
        integer: "number",
        interval: "Interval",
        jsonb: "Json",
        numeric: "Numeric",
        real: "number",
        smallint: "number",
        text: "string",
        "time without time zone": "string",
        "timestamp with time zone": "Timestamp",
        "timestamp without time zone": "Timestamp"
      }
      for (const { name, nullable, type } of columns) {
        const said = everything.get(/^\w+$/.test(name) ? name : JSON.stringify(name))
        const element = expected[type.replace(/\[\]$/, "")] ?? assert.fail(`no expectation for ${type}`)
        const wanted = !type.endsWith("[]")
          ? element
          : /^[A-Z]/.test(element)
          ? `ArrayType<${element}>`
          : `${element}[]`
        assert.strictEqual(said, `${wanted}${nullable ? " | null" : ""}`, `${name} ${type}`)
      }
      assert.deepStrictEqual(Object.fromEntries(types.get("Owned") ?? []), {
        _block_num: "Int8",
        _row_index: "number",
        log_index: "Int8",
        tx_hash: "string",
        value: "Numeric"
      })
    }), 60_000)

  it.live(
    "describes what Kysely then reads: all columns of all rows, and one row by its key",
    () =>
      Effect.gen(function*() {
        const { database } = yield* everyTable
        const kysely = yield* Effect.acquireRelease(
          Effect.sync(() =>
            new Kysely({ dialect: new PostgresDialect({ pool: new Pool({ connectionString: database.url }) }) })
          ),
          (kysely) => Effect.promise(() => kysely.destroy())
        )
        const db = kysely.withSchema(database.schema)
        const everything = yield* Effect.promise(() => db.selectFrom("everything").selectAll().execute())
        assert.lengthOf(everything, ROWS)
        const owned = yield* Effect.promise(() =>
          db.selectFrom("owned").select(["value"]).where("tx_hash", "=", "0x01").where("log_index", "=", 0).execute()
        )
        assert.deepStrictEqual(owned, [{ value: (2n ** 256n - 1n).toString() }])
      }),
    60_000
  )
})
