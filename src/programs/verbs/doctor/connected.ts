/** The database that is checked: its services, once it answers. */
import { type Context, Deferred, Effect, Layer } from "effect"
import { type Finding, problem, warning } from "../../../domain/health/Finding.ts"
import { layer as bookkeeping } from "../../../layers/Bookkeeping.ts"
import { layer as checkpoints } from "../../../layers/Checkpoints.ts"
import { layer as databaseChecks } from "../../../layers/DatabaseChecks.ts"
import { layerWith as pgPoolWith } from "../../../layers/PgPool.ts"
import { layer as recordedStatus } from "../../../layers/RecordedStatus.ts"
import { layer as tableIndexes } from "../../../layers/TableIndexes.ts"
import { layer as tableLeases } from "../../../layers/TableLeases.ts"
import { layer as tableSink } from "../../../layers/TableSink.ts"
import type { Bookkeeping } from "../../../services/Bookkeeping.ts"
import type { DatabaseChecks, TrialFailed } from "../../../services/DatabaseChecks.ts"
import type { RecordedStatus } from "../../../services/RecordedStatus.ts"
import type { TableIndexes } from "../../../services/TableIndexes.ts"
import type { TableSink } from "../../../services/TableSink.ts"
import { trackPending } from "../../timeLimit.ts"

export type DatabaseServices = Bookkeeping | DatabaseChecks | RecordedStatus | TableIndexes | TableSink

/** A database that is down is reported at once. */
export const databaseServices = Layer.mergeAll(tableSink, tableIndexes, databaseChecks, recordedStatus).pipe(
  Layer.provideMerge(Layer.merge(bookkeeping, checkpoints)),
  Layer.provide(tableLeases),
  Layer.provide(pgPoolWith({ waits: false }))
)

/** What the services need beside the database. */
export type DatabaseServiceSettings = Layer.Services<typeof databaseServices>

/** The services, once the database answered. */
export type Connected = Deferred.Deferred<Context.Context<DatabaseServices>>

/** Runs on the services, as waiting for the database. */
export const onDatabase = (connected: Connected) => <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  trackPending("database")(
    Effect.flatMap(Deferred.await(connected), (context) => Effect.provideContext(effect, context))
  )

/** What to do where a right is missing; another failure may pass. */
export const trialFinding = ({ message, transient }: TrialFailed): Finding =>
  transient
    ? warning(message, "run doctor again: it may be a lock that somebody holds for a while")
    : problem(message, "give the role this right: node dist/main.js grants prints the SQL")
