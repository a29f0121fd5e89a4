/** The verb without a name: syncs until it is stopped. */
import { Effect, Layer } from "effect"
import { Command } from "effect/cli"
import { layer as healthApi } from "../../layers/HealthApi.ts"
import { layer as processMetrics } from "../../layers/ProcessMetrics.ts"
import { awaitSignal } from "../../layers/Signals.ts"
import { layer as syncStatus } from "../../layers/SyncStatus.ts"
import { layer as telemetry } from "../../layers/Telemetry.ts"
import { flushTelemetry } from "../../services/Telemetry.ts"
import { services } from "../ampsync.ts"
import { beginView, withProgress } from "../report/showProgress.ts"
import { sync } from "../verbs/sync.ts"
import { untilStopped } from "../verbs/untilStopped.ts"
import { allSettings, screen, withHelp } from "./settings.ts"

/** The health API begins beside the other services: one that waits for the database is alive. */
const servicesWithHealth = Layer.mergeAll(services, Layer.provide(healthApi, syncStatus), processMetrics)

/** Telemetry begins first: it exports as well that the services wait for the database. */
const observedServices = Layer.provideMerge(servicesWithHealth, telemetry)

/** The last spans and figures are exported while the metrics are still there. */
const observedSync = Effect.ensuring(withProgress(sync), Effect.flatten(flushTelemetry))

export const syncCommand = Command.make(
  "ampsync",
  {},
  () =>
    // A database that is waited for has log lines before there are tables to show.
    untilStopped(Effect.andThen(beginView, Effect.provide(observedSync, observedServices)), awaitSignal).pipe(
      Effect.provide(Layer.merge(allSettings, screen))
    )
).pipe(
  withHelp("sync", "Stream the tables of a Nozzle / Amp dataset into PostgreSQL until SIGTERM, SIGINT or SIGHUP")
)
