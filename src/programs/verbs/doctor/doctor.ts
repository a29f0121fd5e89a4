/** The verb `doctor`: checks everything that a start needs, before the first one. */
import { NodeHttpClient } from "@effect/platform-node"
import { Console, Context, Data, Deferred, type Duration, Effect, Layer, Option } from "effect"
import { type Check, type Finding, skipped } from "../../../domain/health/Finding.ts"
import type { Manifest } from "../../../domain/manifest/Manifest.ts"
import { VERSION } from "../../../domain/version.ts"
import { layer as adminApi } from "../../../layers/AdminApi.ts"
import { layer as flightClient } from "../../../layers/FlightClient.ts"
import { layer as manifestSource } from "../../../layers/ManifestSource.ts"
import { layer as sourceHead } from "../../../layers/SourceHead.ts"
import { ConnectionConfig, DatabaseConfig, SyncConfig, type SyncSettings } from "../../../services/Config.ts"
import { Screen } from "../../../services/Screen.ts"
import type { ActiveConfig } from "../../reload/ActiveConfig.ts"
import type { DatabaseServices } from "./connected.ts"
import { databaseChecks } from "./databaseChecks.ts"
import { checkLines, summaryLine } from "./doctorText.ts"
import { type CheckSpec, provideCheck, runChecks, type RunOptions } from "./runChecks.ts"
import { serverChecks } from "./serverChecks.ts"
import { readSettings } from "./settingsCheck.ts"
import { tableChecks } from "./tableChecks.ts"

export interface DoctorOptions {
  readonly json: boolean
  /** How long each check may take. */
  readonly timeout: Duration.Duration
}

/** The checks were printed, and there is a problem among them. */
export class ProblemsFound extends Data.TaggedError("ProblemsFound") {
  readonly exitCode = 1
  override get message() {
    return ""
  }
}

const serverServices = Layer.merge(manifestSource, sourceHead).pipe(
  Layer.provideMerge(Layer.mergeAll(adminApi, flightClient)),
  Layer.provide(NodeHttpClient.layerNodeHttp)
)

/** The tables that settings or config file name; none where the file is wrong. */
const tableNames = (
  { manifest: origin }: SyncSettings,
  manifest: Deferred.Deferred<Option.Option<Manifest>>
): Effect.Effect<ReadonlyArray<string>> =>
  origin._tag === "Dataset"
    ? Effect.succeed(origin.tables)
    : Effect.map(
      Deferred.await(manifest),
      Option.match({ onNone: () => [], onSome: ({ tables }) => tables.map(({ name }) => name) })
    )

/** Runs every check; `onCheck` is called for each as it is known, in order. */
const checkAll = Effect.fnUntraced(function*(options: Pick<RunOptions, "onCheck" | "timeout">) {
  const checks: Array<Check> = []
  const run = (specs: ReadonlyArray<CheckSpec>) =>
    Effect.map(runChecks(specs, { ...options, earlier: checks }), (more) => void checks.push(...more))
  const done = (id: string, title: string, finding: Finding): CheckSpec => ({
    id,
    title,
    needs: [],
    run: Effect.succeed(finding)
  })

  const { all, database, finding } = yield* readSettings
  yield* run([done("settings", "Settings", finding)])

  const found = {
    manifest: yield* Deferred.make<Option.Option<Manifest>>(),
    active: yield* Deferred.make<ActiveConfig>()
  }
  const connected = yield* Deferred.make<Context.Context<DatabaseServices>>()
  if (all === undefined) yield* Deferred.succeed(found.manifest, Option.none())
  const servers = all === undefined
    ? undefined
    : Context.merge(all, yield* Effect.provideContext(Layer.build(serverServices), all))
  const ofServers = servers === undefined
    ? [done("config", "Config file, servers and tables", skipped("needs \"Settings\""))]
    : serverChecks(Context.get(servers, SyncConfig), found).map(provideCheck(servers))
  const ofDatabase = database === undefined
    ? [done("database", "Database", skipped("needs \"Settings\""))]
    : (yield* databaseChecks(
      Context.get(database, ConnectionConfig),
      Context.get(database, DatabaseConfig),
      connected,
      servers === undefined ? Effect.succeed([]) : tableNames(Context.get(servers, SyncConfig), found.manifest)
    )).map(provideCheck(database))
  yield* run([...ofServers, ...ofDatabase])

  const dataset = checks.find(({ id }) => id === "dataset")
  if (servers === undefined || dataset === undefined) return checks
  if (dataset.outcome === "ok" || dataset.outcome === "warning") {
    const active = yield* Deferred.await(found.active)
    const { databaseSchema } = Context.get(servers, DatabaseConfig)
    const ofTables = yield* Effect.forEach(
      active.manifest.tables,
      (table) => tableChecks(active, table, databaseSchema, connected)
    )
    yield* run(ofTables.flat().map(provideCheck(servers)))
  } else {
    yield* run([done("tables", "Tables", skipped(`needs "${dataset.title}"`))])
  }
  return checks
})

/** Prints one line for each check; fails with `ProblemsFound` where there is a problem. */
export const doctor = Effect.fn("doctor")(function*({ json, timeout }: DoctorOptions) {
  const screen = yield* Screen
  const checks = yield* checkAll({
    timeout,
    onCheck: (check) => json ? Effect.void : screen.print(...checkLines(check))
  })
  const isWell = checks.every(({ outcome }) => outcome !== "problem")
  yield* json
    ? Console.log(JSON.stringify(
      { version: VERSION, ok: isWell, checks: checks.map((check) => ({ ...check, advice: check.advice ?? null })) },
      undefined,
      2
    ))
    : screen.print([], summaryLine(checks))
  if (!isWell) return yield* new ProblemsFound()
}, Effect.scoped)
