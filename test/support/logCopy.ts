/** A follower of the write-ahead log that keeps a copy of every published table, and finds what is wrong with the log. */
import { Effect, type Scope } from "effect"
import type { Pgoutput } from "pg-logical-replication"
import { type Change, follow, type Follower, type Row } from "../../examples/follow-write-ahead-log/follow.ts"
import { eventually } from "./eventually.ts"
import type { TestDatabase } from "./postgres.ts"

/** What a follower makes of the log: a copy of every published table, by primary key. */
export class Copy implements Follower {
  readonly tables = new Map<string, Map<string, Row>>()
  /** What must not come, and rows that are not those of the copy. */
  readonly problems: Array<string> = []
  /** The column lists that a table had, in order. */
  readonly shapes = new Map<string, Array<string>>()
  deletions = 0

  readonly copied = async (name: string, rows: ReadonlyArray<Row>): Promise<void> => {
    for (const row of rows) this.#rows({ name }).set(keyOf({ name }, row), row)
  }

  /** Every transaction of the log is a state that readers may see. */
  readonly committed = async (changes: ReadonlyArray<Change>): Promise<void> => {
    for (const change of changes) this.#apply(change)
    this.#checkWatermark()
  }

  rowsOf(table: string): ReadonlyArray<Row> {
    return [...this.tables.get(table)?.values() ?? []]
  }

  #apply(change: Change): void {
    if (change.tag === "truncate") {
      return void this.problems.push(`TRUNCATE of ${change.relations.map(({ name }) => name).join(", ")}`)
    }
    this.#checkShape(change.relation)
    if (change.tag === "delete") this.deletions += 1
    if (change.tag !== "insert") this.#remove(change.relation, change.old)
    if (change.tag !== "delete") this.#add(change.relation, change.new)
  }

  /** A table without its keys would take a row twice. */
  #add(relation: Pgoutput.MessageRelation, row: Row): void {
    const rows = this.#rows(relation)
    const key = keyOf(relation, row)
    if (rows.has(key)) this.problems.push(`${relation.name}: the log adds a row at ${key}, where the copy has one`)
    rows.set(key, row)
  }

  #checkShape({ columns, name, replicaIdentity }: Pgoutput.MessageRelation): void {
    if (replicaIdentity !== "full") this.problems.push(`${name} has the replica identity ${replicaIdentity}`)
    const shape = columns.map((column) => column.name).join(",")
    const shapes = this.shapes.get(name) ?? []
    if (shapes.at(-1) === shape) return
    this.shapes.set(name, [...shapes, shape])
    const empty = Object.fromEntries(columns.map((column) => [column.name, null]))
    const rows = this.#rows({ name })
    for (const [key, row] of rows) rows.set(key, { ...empty, ...row })
  }

  #rows({ name }: { readonly name: string }): Map<string, Row> {
    const rows = this.tables.get(name) ?? new Map<string, Row>()
    this.tables.set(name, rows)
    return rows
  }

  /** The whole row that was there before: what a follower needs who keeps sums. */
  #remove(relation: Pgoutput.MessageRelation, old: Row | null): void {
    const rows = this.#rows(relation)
    const key = old === null ? undefined : keyOf(relation, old)
    const found = key === undefined ? undefined : rows.get(key)
    if (found === undefined || JSON.stringify(found, printed) !== JSON.stringify(old, printed)) {
      this.problems.push(`${relation.name}: the log removes ${JSON.stringify(old, printed)}, which is not in the copy`)
    }
    if (key !== undefined) rows.delete(key)
  }

  #checkWatermark(): void {
    const [checkpoint] = this.rowsOf("_ampsync_checkpoints").filter((row) => row["table_name"] === "blocks")
    if (checkpoint === undefined || checkpoint["max_block_num"] === null) return
    const { max_block_num: watermark, watermark_hash: hash } = checkpoint
    const block = this.rowsOf("blocks").find((row) => String(row["block_num"]) === String(watermark))
    const found = Buffer.isBuffer(block?.["hash"]) ? `0x${block["hash"].toString("hex")}` : undefined
    if (found !== hash) {
      this.problems.push(`block ${String(watermark)} has hash ${found}, the watermark ${String(hash)}`)
    }
  }
}

const printed = (_: string, value: unknown) => (typeof value === "bigint" ? String(value) : value)

const PRIMARY_KEYS: Readonly<Record<string, ReadonlyArray<string>>> = {
  _ampsync_checkpoints: ["table_name"],
  _ampsync_reorgs: ["table_name", "id"]
}

const keyOf = ({ name }: { readonly name: string }, row: Row): string =>
  JSON.stringify((PRIMARY_KEYS[name] ?? ["_block_num", "_row_index"]).map((column) => String(row[column])))

/** Runs the example with `copy` until the scope closes. */
export const startFollowing = (
  { url }: TestDatabase,
  publication: string,
  slot: string,
  copy: Copy
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.asVoid(Effect.acquireRelease(
    Effect.sync(() => {
      const stop = new AbortController()
      const ended = follow({ url, publication, slot }, copy, stop.signal).catch((cause: unknown) => {
        copy.problems.push(String(cause))
      })
      return { stop, ended }
    }),
    ({ ended, stop }) => Effect.andThen(Effect.sync(() => stop.abort()), Effect.promise(() => ended))
  ))

const sorted = (rows: ReadonlyArray<Row>) => rows.map((row) => JSON.stringify(row, printed)).toSorted()

/** Waits until `copy` has the rows of the tables, and no others. */
export const isFollowed = (database: TestDatabase, copy: Copy, tables: ReadonlyArray<string>) =>
  Effect.forEach(tables, (table) =>
    eventually(
      () => {
        const problems = copy.problems.slice(0, 5).join("\n")
        return `the follower has the rows of ${table}; it has ${copy.rowsOf(table).length}\n${problems}`
      },
      Effect.map(
        database.query<Row>(`SELECT * FROM ${table}`),
        (rows) => sorted(rows).join("\n") === sorted(copy.rowsOf(table)).join("\n")
      )
    ), { discard: true })
