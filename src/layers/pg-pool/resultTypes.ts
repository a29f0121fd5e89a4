/**
 * Parsers of result values: `boolean`, numbers that fit a JavaScript number, and JSON; all others stay text, also `bigint`.
 *
 * Passed with each statement, because a host program may have changed the global parsers of `pg`.
 * Source: PostgreSQL, catalog/pg_type.dat.
 */
export const resultTypes = {
  getTypeParser: (oid: number): (text: string) => unknown => readers.get(oid) ?? asText
}

const asText = (text: string): unknown => text

const readers: ReadonlyMap<number, (text: string) => unknown> = new Map<number, (text: string) => unknown>([
  [16, (text) => text === "t"],
  ...[21, 23, 26, 700, 701].map((oid) => [oid, Number] as const),
  ...[114, 3802].map((oid) => [oid, (text: string): unknown => JSON.parse(text)] as const)
])
