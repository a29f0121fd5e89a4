/**
 * An Effect app with a sync inside: it fills tables on the app's own pool, and serves them over HTTP.
 *
 * Settings are the environment variables of docs/configuration.md, and PORT.
 */
import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import * as Ampsync from "ampsync"
import { Cause, Config, Effect, Exit, Layer, Stream } from "effect"
import { HttpRouter } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { createServer } from "node:http"
import { Api, type Change, EventsMissed, NoSuchTable, TooManyBlocks } from "./api.ts"
import { Database } from "./Database.ts"

const MAX_BLOCKS = 1_000

const handlers = HttpApiBuilder.group(
  Api,
  "tables",
  Effect.fnUntraced(function*(handlers) {
    const database = yield* Database
    const status = yield* Ampsync.SyncStatus
    return handlers.handleAll({
      tables: () => Effect.map(status.get, (tables) => [...tables.values()].map(describe)),
      rows: Effect.fnUntraced(function*({ params: { table }, query: { from, to } }) {
        // Only names of tables that are synced get into a statement.
        if (!(yield* status.get).has(table)) return yield* new NoSuchTable({ table })
        if (to - from >= BigInt(MAX_BLOCKS)) return yield* new TooManyBlocks({ most: MAX_BLOCKS })
        return yield* database.rows(table, from, to)
      }),
      events: () =>
        Effect.succeed(
          status.tableChanges.pipe(
            Stream.map(eventOf),
            Stream.mapError(({ missed }) => new EventsMissed({ missed }))
          )
        )
    })
  })
)

const describe = (status: Ampsync.TableStatus) => ({
  table: status.table,
  state: status.phase,
  rows: status.rows,
  watermark: status.watermark === undefined
    ? null
    : { block: status.watermark, hash: status.watermarkHash ?? "" },
  lagBlocks: Ampsync.lagBlocks(status) ?? null
})

const eventOf = (change: Ampsync.TableChange): Change => {
  const { table, watermark = null } = change
  if (change._tag === "Baseline") {
    return { kind: "baseline", table, watermark, deletedFrom: null, firstBlock: null, lastBlock: null, reorgs: [] }
  }
  const { deletedFrom = null, firstBlock = null, lastBlock = null, reorgs } = change
  return { kind: "commit", table, watermark, deletedFrom, firstBlock, lastBlock, reorgs }
}

/** The sync on the pool of the app; its other settings are from the environment. */
const ampsync = Layer.unwrap(Effect.gen(function*() {
  const { pool } = yield* Database
  const { DATABASE_URL: _, ...settings } = process.env
  return Ampsync.layerFromPool(pool, settings, { maxConnections: 10 })
}))

const server = Layer.unwrap(Effect.gen(function*() {
  const port = yield* Config.Int("PORT").pipe(Config.withDefault(3000))
  // Event streams end with their readers: a stop does not wait for these.
  return NodeHttpServer.layer(createServer, { host: "127.0.0.1", port, disablePreemptiveShutdown: true })
}))

const app = HttpRouter.serve(Layer.provide(HttpApiBuilder.layer(Api, { openapiPath: "/openapi.json" }), handlers)).pipe(
  Layer.provide(server),
  Layer.provide(ampsync),
  Layer.provide(Database.layer)
)

// A stop closes the layers in reverse order: the server first, then the sync, which finishes the commit in flight, then the pool.
NodeRuntime.runMain(Layer.launch(app), {
  teardown: (exit, done) => done(Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause) ? 0 : 1)
})
