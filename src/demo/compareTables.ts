/** Compares tables in PostgreSQL with the simulated chain, by count and hash. */
import { Effect } from "effect"
import type { Comparison } from "./display/demoText.ts"
import { TableReader } from "./TableReader.ts"

interface Digest {
  readonly add: (row: ReadonlyArray<string | null>) => void
  readonly rows: number
  readonly finish: () => string
}

/** The rows of the chain that the database should contain. */
export interface CanonicalRows {
  readonly tip: bigint
  readonly columnsOf: (table: string) => ReadonlyArray<string>
  /** Rows of blocks `from` to `to` as PostgreSQL prints their values. */
  readonly rowsOf: (table: string, from: bigint, to: bigint) => Iterable<Readonly<Record<string, string | null>>>
  /** `types` as `format_type` prints them, one per column. */
  readonly newDigest: (types: ReadonlyArray<string>) => Digest
}

/** Blocks rendered at once, in a few milliseconds: only then can a Ctrl-C interrupt. */
const SLICE_BLOCKS = 20n

/** The key of a table whose query yields `_block_num`. */
const ORDER = ["_block_num", "_row_index"]

/** Counts and hashes all rows of one table on both sides, each in bounded memory. */
export const compareTable = Effect.fnUntraced(function*(table: string, canonical: CanonicalRows) {
  const reader = yield* TableReader
  const columns = canonical.columnsOf(table)
  const existing = new Map((yield* reader.columns(table)).map(({ name, type }) => [name, type]))
  const types = columns.map((column) => existing.get(column) ?? "missing")

  const stored = canonical.newDigest(types)
  yield* reader.read({ table, columns, orderBy: ORDER }, (rows) =>
    Effect.sync(() => {
      for (const row of rows) stored.add(row)
    }))

  const expected = canonical.newDigest(types)
  for (let from = 0n; from <= canonical.tip; from += SLICE_BLOCKS) {
    const to = from + SLICE_BLOCKS - 1n
    for (const row of canonical.rowsOf(table, from, to < canonical.tip ? to : canonical.tip)) {
      expected.add(columns.map((column) => row[column] ?? null))
    }
    yield* Effect.yieldNow
  }
  const comparison: Comparison = {
    table,
    postgres: { rows: stored.rows, hash: stored.finish() },
    chain: { rows: expected.rows, hash: expected.finish() }
  }
  return comparison
})
