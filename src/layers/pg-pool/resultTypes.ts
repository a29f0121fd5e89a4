/**
 * How values of results are read: `boolean`, numbers that JavaScript has, and JSON; all others as text, `bigint` among them.
 *
 * Given with each statement, because a host program may have changed what `pg` does by itself for all who share its copy.
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
