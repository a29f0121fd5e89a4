/** A follower of the write-ahead log has every row that the tables have, through a backfill, a reorg and new columns. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import type { Client } from "pg"
import { LogicalReplicationService, type Pgoutput, PgoutputPlugin } from "pg-logical-replication"
import { startAmpsync } from "../support/ampsyncProcess.ts"
import { type Cluster, startLogicalCluster } from "../support/cluster.ts"
import { differences } from "../support/compare.ts"
import { eventually } from "../support/eventually.ts"
import { replaceConfig } from "../support/runningSync.ts"
import { awaitWatermark } from "../support/snapshots.ts"
import { makeWorld } from "../support/world.ts"

const PUBLICATION = "electric_publication_default"
const SLOT = "follower"

type Row = Readonly<Record<string, unknown>>

/** What a follower makes of the log: a copy of every published table, by primary key. */
class Follower {
  readonly tables = new Map<string, Map<string, Row>>()
  /** What must not come, and rows that are not those of the copy. */
  readonly problems: Array<string> = []
  /** The column lists that a table had, in order. */
  readonly shapes = new Map<string, Array<string>>()
  deletions = 0

  take(message: Pgoutput.Message): void {
    switch (message.tag) {
      case "relation":
        return this.#take(message)
      case "insert":
        return void this.#rows(message.relation).set(keyOf(message.relation, message.new), message.new)
      case "update":
        this.#remove(message.relation, message.old)
        return void this.#rows(message.relation).set(keyOf(message.relation, message.new), message.new)
      case "delete":
        this.deletions += 1
        return this.#remove(message.relation, message.old)
      case "truncate":
        return void this.problems.push(`TRUNCATE of ${message.relations.map(({ name }) => name).join(", ")}`)
      case "commit":
        return this.#checkWatermark()
    }
  }

  rowsOf(table: string): ReadonlyArray<Row> {
    return [...this.tables.get(table)?.values() ?? []]
  }

  #take({ columns, name, replicaIdentity }: Pgoutput.MessageRelation): void {
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

  /** Every transaction of the log is a state that readers may see. */
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

const keyOf = ({ name }: Pgoutput.MessageRelation, row: Row): string =>
  JSON.stringify((PRIMARY_KEYS[name] ?? ["_block_num", "_row_index"]).map((column) => String(row[column])))

/** The follower of the package requests the option `messages`, which PostgreSQL 13 does not have. */
class Plugin extends PgoutputPlugin {
  override start(client: Client, slot: string, position: string) {
    const options = `proto_version '1', publication_names '${PUBLICATION}'`
    return client.query(`START_REPLICATION SLOT "${slot}" LOGICAL ${position} (${options})`)
  }
}

/** Follows the publication from the slot's position on until the scope closes. */
const follow = Effect.fnUntraced(function*({ database }: Cluster): Effect.fn.Return<Follower, never, Scope.Scope> {
  const follower = new Follower()
  const service = yield* Effect.acquireRelease(
    Effect.sync(() => new LogicalReplicationService({ connectionString: database.url })),
    (service) => Effect.promise(() => service.destroy())
  )
  service.on("data", (_, message: Pgoutput.Message) => follower.take(message))
  service.on("error", (error: Error) => follower.problems.push(error.message))
  const plugin = new Plugin({ protoVersion: 1, publicationNames: [PUBLICATION] })
  service.subscribe(plugin, SLOT).catch((cause: unknown) => follower.problems.push(String(cause)))
  return follower
})

/** A server whose log can be followed, with the publication and the slot that a follower made before the first sync. */
const followedCluster = Effect.gen(function*() {
  const cluster = yield* startLogicalCluster
  yield* cluster.database.query(`CREATE PUBLICATION ${PUBLICATION}`)
  yield* cluster.database.query("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", [SLOT])
  return cluster
})

const sorted = (rows: ReadonlyArray<Row>) => rows.map((row) => JSON.stringify(row, printed)).toSorted()

describe("with CDC_READY", () => {
  it.live(
    "a follower has every row through a backfill, a reorg and new columns, and no TRUNCATE",
    () =>
      Effect.gen(function*() {
        const cluster = yield* followedCluster
        const { database } = cluster
        const few = "SELECT _block_num, block_num, hash FROM anvil.blocks"
        const logs = "SELECT * FROM anvil.logs"
        const world = {
          ...yield* makeWorld({ dialect: "amp", blocks: 300, maxRangeBlocks: 50, queries: { blocks: few, logs } }),
          database
        }
        const follower = yield* follow(cluster)
        const isFollowed = (table: string) =>
          eventually(
            () => {
              const problems = follower.problems.slice(0, 5).join("\n")
              return `the follower has the rows of ${table}; it has ${follower.rowsOf(table).length}\n${problems}`
            },
            Effect.map(
              database.query<Row>(`SELECT * FROM ${table}`),
              (rows) => sorted(rows).join("\n") === sorted(follower.rowsOf(table)).join("\n")
            )
          )
        const allAreFollowed = Effect.forEach(["blocks", "logs", "_ampsync_reorgs"], isFollowed)

        const sync = yield* startAmpsync({
          ...world.environment,
          DATABASE_URL: database.url,
          DATABASE_SCHEMA: database.schema,
          CDC_READY: "electric"
        })
        for (const table of ["blocks", "logs"]) yield* awaitWatermark(world, table, 299n)
        yield* allAreFollowed
        assert.notInclude(sync.output(), "cannot be followed")

        world.simulator.reorg(5)
        for (const table of ["blocks", "logs"]) yield* awaitWatermark(world, table, 300n)
        yield* allAreFollowed
        assert.isAbove(follower.deletions, 5)

        yield* replaceConfig(world, {
          blocks: "SELECT _block_num, block_num, hash, parent_hash, gas_used FROM anvil.blocks",
          logs
        })
        yield* sync.prints("added columns parent_hash, gas_used")
        world.simulator.mine(3)
        for (const table of ["blocks", "logs"]) yield* awaitWatermark(world, table, 303n)
        yield* allAreFollowed
        assert.deepStrictEqual(yield* differences(world, "logs"), [])

        assert.deepStrictEqual(follower.problems, [])
        // Each change of the columns makes a follower such as Electric read the table again.
        assert.lengthOf(follower.shapes.get("blocks")!, 2)
        assert.lengthOf(follower.shapes.get("logs")!, 1)
      }),
    90_000
  )
})
