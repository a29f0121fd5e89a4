/** A follower of the write-ahead log has every row that the tables have, through a backfill, a reorg and new columns. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import type { Pgoutput } from "pg-logical-replication"
import { type Change, follow, type Follower, type Row } from "../../examples/follow-write-ahead-log/follow.ts"
import { startAmpsync } from "../support/ampsyncProcess.ts"
import { type Cluster, startLogicalCluster } from "../support/cluster.ts"
import { differences } from "../support/compare.ts"
import { eventually } from "../support/eventually.ts"
import { replaceConfig } from "../support/runningSync.ts"
import { awaitWatermark } from "../support/snapshots.ts"
import { makeWorld } from "../support/world.ts"

const PUBLICATION = "electric_publication_default"

/** What a follower makes of the log: a copy of every published table, by primary key. */
class Copy implements Follower {
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
    if (change.tag !== "delete") this.#rows(change.relation).set(keyOf(change.relation, change.new), change.new)
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
const startFollowing = (
  { database: { url } }: Cluster,
  slot: string,
  copy: Copy
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.asVoid(Effect.acquireRelease(
    Effect.sync(() => {
      const stop = new AbortController()
      const ended = follow({ url, publication: PUBLICATION, slot }, copy, stop.signal).catch((cause: unknown) => {
        copy.problems.push(String(cause))
      })
      return { stop, ended }
    }),
    ({ ended, stop }) => Effect.andThen(Effect.sync(() => stop.abort()), Effect.promise(() => ended))
  ))

const sorted = (rows: ReadonlyArray<Row>) => rows.map((row) => JSON.stringify(row, printed)).toSorted()

describe("with CDC_READY", () => {
  it.live(
    "a follower has every row through a backfill, a reorg and new columns, and no TRUNCATE, and so has one that begins later",
    () =>
      Effect.gen(function*() {
        const cluster = yield* startLogicalCluster
        const { database } = cluster
        yield* database.query(`CREATE PUBLICATION ${PUBLICATION}`)
        const few = "SELECT _block_num, block_num, hash FROM anvil.blocks"
        const logs = "SELECT * FROM anvil.logs"
        const world = {
          ...yield* makeWorld({ dialect: "amp", blocks: 300, maxRangeBlocks: 50, queries: { blocks: few, logs } }),
          database
        }
        const isFollowed = (copy: Copy, table: string) =>
          eventually(
            () => {
              const problems = copy.problems.slice(0, 5).join("\n")
              return `the follower has the rows of ${table}; it has ${copy.rowsOf(table).length}\n${problems}`
            },
            Effect.map(
              database.query<Row>(`SELECT * FROM ${table}`),
              (rows) => sorted(rows).join("\n") === sorted(copy.rowsOf(table)).join("\n")
            )
          )
        const allAreFollowed = (copy: Copy) =>
          Effect.forEach(["blocks", "logs", "_ampsync_reorgs"], (table) => isFollowed(copy, table))

        const first = new Copy()
        yield* startFollowing(cluster, "first", first)
        const slots = "SELECT FROM pg_replication_slots WHERE slot_name = 'first' AND active"
        yield* eventually("it follows", Effect.map(database.query(slots), ({ length }) => length === 1))
        const sync = yield* startAmpsync({
          ...world.environment,
          DATABASE_URL: database.url,
          DATABASE_SCHEMA: database.schema,
          CDC_READY: "electric"
        })
        for (const table of ["blocks", "logs"]) yield* awaitWatermark(world, table, 299n)
        yield* allAreFollowed(first)
        assert.notInclude(sync.output(), "cannot be followed")

        const later = new Copy()
        yield* Effect.scoped(Effect.andThen(startFollowing(cluster, "later", later), allAreFollowed(later)))
        world.simulator.reorg(5)
        for (const table of ["blocks", "logs"]) yield* awaitWatermark(world, table, 300n)
        yield* allAreFollowed(first)
        assert.isAbove(first.deletions, 5)
        // What it copied and what it missed.
        yield* startFollowing(cluster, "later", later)
        yield* allAreFollowed(later)
        assert.strictEqual(later.deletions, first.deletions)

        yield* replaceConfig(world, {
          blocks: "SELECT _block_num, block_num, hash, parent_hash, gas_used FROM anvil.blocks",
          logs
        })
        yield* sync.prints("added columns parent_hash, gas_used")
        world.simulator.mine(3)
        for (const table of ["blocks", "logs"]) yield* awaitWatermark(world, table, 303n)
        yield* allAreFollowed(first)
        assert.deepStrictEqual(yield* differences(world, "logs"), [])

        assert.deepStrictEqual([...first.problems, ...later.problems], [])
        // Each change of the columns makes a follower such as Electric read the table again.
        assert.lengthOf(first.shapes.get("blocks")!, 2)
        assert.lengthOf(first.shapes.get("logs")!, 1)
      }),
    90_000
  )
})
