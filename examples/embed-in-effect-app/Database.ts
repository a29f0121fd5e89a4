/** The app's own connections to PostgreSQL, and what it reads on them. */
import { Config, Context, Effect, Layer, Redacted } from "effect"
import pg from "pg"

/** Every value as the text that PostgreSQL sends. */
const asText = { getTypeParser: () => (text: string) => text } as unknown as NonNullable<pg.QueryConfig["types"]>

const make = Effect.gen(function*() {
  const connectionString = Redacted.value(yield* Config.Redacted("DATABASE_URL"))
  const schema = pg.escapeIdentifier(yield* Config.String("DATABASE_SCHEMA").pipe(Config.withDefault("public")))
  const pool = yield* Effect.acquireRelease(
    Effect.sync(() => new pg.Pool({ connectionString, max: 20 })),
    (pool) => Effect.promise(() => pool.end())
  )

  /** Runs `read` on one snapshot of the database. */
  const snapshot = <A>(read: (client: pg.PoolClient) => Promise<A>) =>
    Effect.promise(async () => {
      const client = await pool.connect()
      try {
        await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        const result = await read(client)
        await client.query("COMMIT")
        client.release()
        return result
      } catch (error) {
        // The transaction may still be open: the connection is closed.
        client.release(true)
        throw error
      }
    })

  /** The rows of blocks `from` to `to`, as far as they are complete: rows above the watermark may change at any time. */
  const rows = (table: string, from: bigint, to: bigint) =>
    snapshot(async (client) => {
      const { rows: [checkpoint] } = await client.query<{ block: string | null; hash: string }>(
        `SELECT max_block_num AS block, watermark_hash AS hash FROM ${schema}._ampsync_checkpoints WHERE table_name = $1`,
        [table]
      )
      if (checkpoint === undefined || checkpoint.block === null) return { watermark: null, rows: [] }
      const watermark = { block: BigInt(checkpoint.block), hash: checkpoint.hash }
      const { rows } = await client.query<Record<string, string | null>>({
        text: `SELECT * FROM ${schema}.${pg.escapeIdentifier(table)}
               WHERE _block_num BETWEEN $1 AND least($2, $3::bigint) ORDER BY _block_num, _row_index`,
        values: [from, to, watermark.block],
        types: asText
      })
      return { watermark, rows }
    })

  return { pool, rows }
})

export class Database extends Context.Service<Database, Effect.Success<typeof make>>()("embed-in-effect-app/Database") {
  static readonly layer = Layer.effect(Database, make)
}
