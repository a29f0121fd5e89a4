/** The example that follows the write-ahead log: what it acknowledges, and all of it from nothing. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { build } from "esbuild"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { symlink } from "node:fs/promises"
import { join } from "node:path"
import pg from "pg"
import { type Change, follow, type Follower, type Row } from "../../examples/follow-write-ahead-log/follow.ts"
import { sessionOptions, startLogicalCluster } from "../support/cluster.ts"
import { eventually } from "../support/eventually.ts"
import type { TestDatabase } from "../support/postgres.ts"
import { temporaryDirectory } from "../support/temporaryDirectory.ts"

const root = join(import.meta.dirname, "..", "..")

const connectTo = ({ schema, url }: TestDatabase) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const client = new pg.Client({ connectionString: url, options: sessionOptions(schema) })
      await client.connect()
      return client
    }),
    (client) => Effect.promise(() => client.end())
  )

/** The numbers of a table as the example hands them over; it fails at `refused`. */
class Numbers implements Follower {
  readonly taken: Array<unknown> = []
  refused: unknown

  readonly copied = async (_: string, rows: ReadonlyArray<Row>): Promise<void> => {
    this.taken.push(...rows.map(({ id }) => id))
  }

  readonly committed = async (changes: ReadonlyArray<Change>): Promise<void> => {
    const ids = changes.flatMap((change) => change.tag === "insert" ? [change.new["id"]] : [])
    if (ids.includes(this.refused)) throw new Error(`${String(this.refused)} is refused`)
    this.taken.push(...ids)
  }

  readonly has = (id: number) =>
    eventually(() => `${id} is taken; it has ${this.taken.join(", ")}`, Effect.sync(() => this.taken.includes(id)))
}

describe("the example that follows the write-ahead log", () => {
  it.live("gets a transaction again that it failed to take, though its commit is next to the one before", () =>
    Effect.gen(function*() {
      const { database } = yield* startLogicalCluster
      yield* database.query("CREATE TABLE numbers (id int PRIMARY KEY)")
      yield* database.query("CREATE PUBLICATION ampsync FOR TABLE numbers")
      yield* database.query("INSERT INTO numbers VALUES (1)")
      const [first, second] = [yield* connectTo(database), yield* connectTo(database)]
      const numbers = new Numbers()
      const following = Effect.tryPromise({
        try: (signal) => follow({ url: database.url, publication: "ampsync", slot: "follower" }, numbers, signal),
        catch: (cause) => cause as Error
      })

      numbers.refused = 4
      const failing = yield* Effect.forkChild(Effect.flip(following))
      yield* numbers.has(1)
      yield* Effect.promise(async () => {
        for (const [client, id] of [[first, 3], [second, 4]] as const) {
          await client.query(`BEGIN; INSERT INTO numbers VALUES (${id})`)
        }
        // Nothing comes between the two commits in the log.
        for (const client of [first, second]) await client.query("COMMIT")
      })
      assert.strictEqual((yield* Fiber.join(failing)).message, "4 is refused")
      assert.deepStrictEqual(numbers.taken, [1, 3])

      numbers.refused = undefined
      yield* Effect.forkChild(following)
      yield* numbers.has(4)
      assert.deepStrictEqual(numbers.taken, [1, 3, 4])
    }))

  it.live("shows a reorg, from nothing but a checkout", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryDirectory
      const program = join(folder, "demo.mjs")
      // As `npx jiti` runs it, in a fraction of the time.
      yield* Effect.promise(async () => {
        await symlink(join(root, "node_modules"), join(folder, "node_modules"))
        const entryPoints = [join(root, "examples/follow-write-ahead-log/demo.ts")]
        await build({
          entryPoints,
          outfile: program,
          bundle: true,
          packages: "external",
          format: "esm",
          platform: "node"
        })
      })
      const child = yield* Effect.acquireRelease(
        Effect.sync(() => spawn(process.execPath, [program], { stdio: ["ignore", "pipe", "pipe"] })),
        (child) => Effect.sync(() => child.kill("SIGKILL"))
      )
      let output = ""
      for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => output += text)
      yield* eventually(
        () => `a reorg is printed; it has printed:\n${output}`,
        Effect.sync(() =>
          /^blocks: - 3 rows of blocks (\d+) to \d+ \+ 4 rows of blocks \1 to (\d+); reorg from block \1 on; blocks complete up to block \2$/m
            .test(output)
        )
      )
      const exited = once(child, "exit")
      child.kill("SIGINT")
      assert.deepStrictEqual(yield* Effect.promise(() => exited), [130, null])
    }))
})
