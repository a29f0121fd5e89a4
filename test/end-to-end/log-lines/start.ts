/** What a start waits for, and what it goes on without. */
import { Effect } from "effect"
import { serverOf } from "../../layers/admin-api/server.ts"
import { startProxy, throughProxy } from "../../support/proxy.ts"
import { replaceConfig } from "../../support/runningSync.ts"
import { silentPort } from "../../support/silentPort.ts"
import { awaitWatermark } from "../../support/snapshots.ts"
import { makeWorld, manifestOf } from "../../support/world.ts"
import type { Stage } from "./stage.ts"

/** A port that nothing listens on. */
const closedPort = Effect.scoped(Effect.map(startProxy(1), ({ port }) => port))

const portOf = (url: string) => Number(new URL(url).port)

const queries = { blocks: "SELECT * FROM anvil.blocks" }

/** The database is down, and so is the collector; then its connection is cut as the bookkeeping is made. */
export const databaseDown = Effect.fnUntraced(function*({ sees, start }: Stage) {
  const world = yield* makeWorld({ dialect: "amp", blocks: 20, queries })
  const port = yield* closedPort
  yield* start({
    ...world.environment,
    DATABASE_URL: throughProxy(world.database.url, { port }),
    HEALTH_PORT: "0",
    HEALTH_HOST: "127.0.0.1",
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${yield* closedPort}`,
    OTEL_TRACES_EXPORTER: "none",
    OTEL_METRIC_EXPORT_INTERVAL: "100"
  })
  yield* sees("databaseUnreachable", "telemetryFailed")
  const proxy = yield* startProxy(portOf(world.database.url), port)
  proxy.cutOnReply("CREATE TABLE\0")
  yield* sees("bookkeepingFailed")
})

/** The database falls silent while tables are synced, and answers again; Arrow Flight sends no message of a stream. */
export const nothingIsSaid = Effect.fnUntraced(function*({ sees, start }: Stage) {
  const world = yield* makeWorld({ dialect: "amp", blocks: 20, queries })
  const proxy = yield* startProxy(portOf(world.database.url))
  yield* start({ ...world.environment, DATABASE_URL: throughProxy(world.database.url, proxy) })
  yield* awaitWatermark(world, "blocks", 19n)
  proxy.freeze()
  yield* sees("heartbeatMissing")
  proxy.restore()
  yield* sees("heartbeatRecorded")
  const third = yield* makeWorld({ dialect: "amp", blocks: 20, queries })
  yield* start({ ...third.environment, AMP_FLIGHT_ADDR: `http://127.0.0.1:${yield* silentPort()}` })
  const other = yield* makeWorld({ dialect: "amp", blocks: 20, queries })
  other.simulator.faults.silenceCalls("DoGet")
  yield* start(other.environment)
  yield* sees("stillWaiting")
})

/** The Admin API answers only later. */
export const adminApiDown = Effect.fnUntraced(function*({ sees, start }: Stage) {
  const world = yield* makeWorld({ dialect: "amp", blocks: 20, queries })
  const port = yield* closedPort
  yield* start({ ...world.environment, AMP_ADMIN_API_ADDR: `http://127.0.0.1:${port}` })
  yield* sees("withoutAdminApi")
  yield* startProxy(portOf(world.simulator.adminUrl), port)
  yield* sees("adminApiAnswers")
})

/** The Admin API answers, but has no dataset of the config's name, or is not ready. */
export const unknownDataset = Effect.fnUntraced(function*({ sees, start }: Stage) {
  const world = yield* makeWorld({ dialect: "amp", blocks: 20 })
  yield* replaceConfig(world, { ...manifestOf("amp", queries) as object, name: "nobody" })
  world.simulator.faults.failAdmin(503)
  yield* start(world.environment)
  yield* sees("tryingAgain", "unpublished")
})

/** What listens at AMP_ADMIN_API_ADDR is another server. */
export const wrongAddress = Effect.fnUntraced(function*({ sees, start }: Stage) {
  const world = yield* makeWorld({ dialect: "amp", blocks: 20, queries })
  const { url } = yield* serverOf({})
  yield* start({ ...world.environment, AMP_ADMIN_API_ADDR: url })
  yield* sees("schemaNotFetched")
})

/** Neither the Admin API nor Flight answers, and the settings name the tables. */
export const nothingAnswers = Effect.fnUntraced(function*({ sees, start }: Stage) {
  const world = yield* makeWorld({ dialect: "amp", blocks: 20 })
  const { DATASET_MANIFEST: _, ...environment } = world.environment
  const port = yield* closedPort
  yield* start({
    ...environment,
    DATASET: "_/anvil",
    TABLES: "blocks",
    AMP_ADMIN_API_ADDR: `http://127.0.0.1:${port}`,
    AMP_FLIGHT_ADDR: `http://127.0.0.1:${port}`
  })
  yield* sees("schemaNotFetched", "notOverFlight")
})
