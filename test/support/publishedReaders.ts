/** Readers of views that are switched from one schema to another meanwhile. */
import { Effect } from "effect"
import pg from "pg"
import type { TestDatabase } from "./postgres.ts"

interface Seen {
  /** The schemas that the views read, as this transaction has them. */
  readonly sources: string
  readonly latest: string | null
  readonly watermark: string | null
}

/** The first statement reads one view, as the first of a transaction would; the second all of them. */
const READ = `
  SELECT (SELECT string_agg(DISTINCT n.nspname, ' ') FROM unnest($1::text[]) v
      JOIN pg_rewrite r ON r.ev_class = v::regclass JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
      JOIN pg_class s ON d.refclassid = 'pg_class'::regclass AND s.oid = d.refobjid AND s.oid <> r.ev_class
      JOIN pg_namespace n ON n.oid = s.relnamespace) AS sources,
    (SELECT block_num FROM _ampsync_latest) AS latest,
    (SELECT max_block_num FROM _ampsync_checkpoints WHERE table_name = 'logs') AS watermark,
    (SELECT count(*) FROM blocks)`

/**
 * Two sessions read over and over until the scope closes, each transaction at REPEATABLE READ. On a chain without reorgs no block
 * may become lower.
 */
export const watchReaders = Effect.fnUntraced(function*(
  { schema, url }: TestDatabase,
  views: ReadonlyArray<string>
) {
  const violations: Array<string> = []
  const sources = new Set<string>()
  let [slowestMillis, isOver] = [0, false]

  const check = (before: Seen | undefined, seen: Seen) => {
    if (seen.sources.includes(" ")) violations.push(`one transaction reads ${seen.sources}`)
    for (const block of ["latest", "watermark"] as const) {
      if (Number(seen[block] ?? -1) < Number(before?.[block] ?? -1)) {
        violations.push(`${block}: ${seen[block]} of ${seen.sources} after ${before?.[block]} of ${before?.sources}`)
      }
    }
    sources.add(seen.sources)
  }

  const session = async () => {
    const client = new pg.Client({ connectionString: url, options: `-csearch_path=${schema}` })
    await client.connect()
    for (let before: Seen | undefined; !isOver;) {
      const begun = performance.now()
      try {
        await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        await client.query("SELECT count(*) FROM logs")
        const { rows } = await client.query<Seen>(READ, [views])
        await client.query("COMMIT")
        check(before, rows[0]!)
        before = rows[0]
      } catch (error) {
        violations.push(String(error))
        await client.query("ROLLBACK")
      }
      slowestMillis = Math.max(slowestMillis, performance.now() - begun)
      await new Promise((resolve) => setTimeout(resolve, 3))
    }
    await client.end()
  }
  const sessions = [session(), session()]
  yield* Effect.addFinalizer(() => Effect.promise(() => (isOver = true, Promise.all(sessions))))
  return {
    violations: () => violations.slice(0, 5),
    /** Those that transactions have seen so far. */
    sources: (): ReadonlySet<string> => sources,
    /** Of all transactions. */
    slowestMillis: () => slowestMillis
  }
})
