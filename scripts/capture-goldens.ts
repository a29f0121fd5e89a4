/**
 * Asks a real PostgreSQL for the COPY BINARY bytes of every golden case: `npx jiti scripts/capture-goldens.ts`.
 *
 * Writes test/fixtures/copy/fields.json: the server's version, and for every SQL expression its field in hex (int32 length, then
 * the value). A run on another server must give the same bytes; the tests compare the encoder's with them.
 */
import { Effect, Redacted } from "effect"
import { writeFile } from "node:fs/promises"
import { Client } from "pg"
import { to as copyTo } from "pg-copy-streams"
import { layer } from "../src/demo/embedded-postgres/layer.ts"
import { EmbeddedPostgres } from "../src/demo/EmbeddedPostgres.ts"
import { goldenCases } from "../test/domain/postgres/goldenCases.ts"

/** Header (11 bytes signature, two int32), int16 field count; the trailer is one int16. */
const BEFORE_FIELD = 11 + 8 + 2
const AFTER_FIELD = 2

const fieldOf = async (client: Client, sql: string): Promise<string> => {
  const parts: Array<Buffer> = []
  for await (const part of client.query(copyTo(`COPY (SELECT ${sql}) TO STDOUT (FORMAT BINARY)`))) parts.push(part)
  const all = Buffer.concat(parts)
  return all.subarray(BEFORE_FIELD, all.length - AFTER_FIELD).toString("hex")
}

const capture = async (url: string) => {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    await client.query("SET timezone TO 'UTC'")
    const { rows: [{ server }] } = await client.query("SELECT version() AS server")
    const fields: Record<string, string> = {}
    for (const { sql } of goldenCases) fields[sql] ??= await fieldOf(client, sql)
    return { server, fields }
  } finally {
    await client.end()
  }
}

const program = Effect.gen(function*() {
  const postgres = yield* EmbeddedPostgres
  const captured = yield* Effect.promise(() => capture(Redacted.value(postgres.url)))
  const path = new URL("../test/fixtures/copy/fields.json", import.meta.url)
  yield* Effect.promise(() => writeFile(path, `${JSON.stringify(captured, undefined, 1)}\n`))
  yield* Effect.log(`${Object.keys(captured.fields).length} fields of ${captured.server}`)
})

await Effect.runPromise(program.pipe(Effect.provide(layer)))
