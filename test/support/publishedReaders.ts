/** Readers of views that are switched from one schema to another meanwhile. */
import { Effect } from "effect"
import pg from "pg"
import type { TestDatabase } from "./postgres.ts"

interface Seen {
  /** The schemas that the transaction read. */
  readonly sources: string
  readonly latest: string | null
  readonly watermark: string | null
}

/** After a first statement that reads one view, as a transaction would begin. */
const READ = `
  SELECT (SELECT block_num FROM _ampsync_latest) AS latest,
    (SELECT max_block_num FROM _ampsync_checkpoints WHERE table_name = 'logs') AS watermark, (SELECT count(*) FROM blocks)`

/** The locks of a transaction name the tables that it has really read, whatever its snapshot has of the catalog. */
const SOURCES = `
  SELECT string_agg(DISTINCT n.nspname, ' ') AS sources
  FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE l.pid = pg_backend_pid() AND c.relkind = 'r' AND n.nspname <> 'pg_catalog'`

/** Between two transactions of a reader. Where there is hardly any, a publication finds no moment for its locks for long. */
const PAUSE_MILLIS = 20

/**
 * Two sessions read over and over until the scope closes, each transaction at REPEATABLE READ. On a chain without reorgs no block
 * may become lower.
 */
export const watchReaders = Effect.fnUntraced(function*({ schema, url }: TestDatabase) {
  const violations: Array<string> = []
  const sources = new Set<string>()
  let [transactions, isOver] = [0, false]

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
      try {
        await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        await client.query("SELECT count(*) FROM logs")
        const { rows: [blocks] } = await client.query<Omit<Seen, "sources">>(READ)
        const { rows: [read] } = await client.query<Pick<Seen, "sources">>(SOURCES)
        await client.query("COMMIT")
        const seen = { ...blocks!, ...read! }
        check(before, seen)
        transactions += 1
        before = seen
      } catch (error) {
        violations.push(String(error))
        await client.query("ROLLBACK")
      }
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MILLIS))
    }
    await client.end()
  }
  const sessions = [session(), session()]
  yield* Effect.addFinalizer(() => Effect.promise(() => (isOver = true, Promise.all(sessions))))
  return {
    violations: () => violations.slice(0, 5),
    /** Those that transactions have seen so far. */
    sources: (): ReadonlySet<string> => sources,
    /** Those that were committed so far. */
    transactions: () => transactions
  }
})
