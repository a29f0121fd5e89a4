/** The verb `publish`. */
import { Duration, Effect, Layer, Logger, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { schemaName } from "../../domain/settings/values.ts"
import { layer as pgPool } from "../../layers/PgPool.ts"
import { layer as recordedStatus } from "../../layers/RecordedStatus.ts"
import { layer as schemaViews } from "../../layers/SchemaViews.ts"
import { awaitSignal } from "../../layers/Signals.ts"
import { DatabaseConfig } from "../../services/Config.ts"
import { trackPendingLayer } from "../timeLimit.ts"
import { connectAndPublish } from "../verbs/publish/publish.ts"
import { answerUnlessStopped } from "../verbs/untilStopped.ts"
import { duration, json, timeout, toggle } from "./flags.ts"
import { databaseSettings, withHelp } from "./settings.ts"

const schema = (name: string) => Flag.String(name).pipe(Flag.withSchema(schemaName.schema))

/** The status of schema `from`, and the views. */
const services = (from: string) =>
  Layer.merge(
    recordedStatus.pipe(
      Layer.provide(
        Layer.effect(DatabaseConfig, Effect.map(DatabaseConfig, (config) => ({ ...config, databaseSchema: from })))
      )
    ),
    schemaViews
  ).pipe(Layer.provide(trackPendingLayer("database", pgPool)))

export const publishCommand = Command.make(
  "publish",
  {
    from: schema("from").pipe(
      Flag.withDescription("Schema with the tables of a sync (default: DATABASE_SCHEMA)"),
      Flag.optional
    ),
    as: schema("as").pipe(
      Flag.withDescription("Schema with the views that readers use; it is created when it is missing")
    ),
    drop: toggle("drop", "Drop views, and columns of them, that the schema of --from does not have"),
    wait: duration(
      "wait",
      Duration.minutes(10),
      "How long to wait until the tables have caught up and no transaction holds a view, such as 0s, 30s or 600m",
      "10m"
    ),
    json,
    timeout: timeout("the database may take for an answer")
  },
  ({ from: named, ...options }) =>
    Effect.gen(function*() {
      const { databaseSchema } = yield* DatabaseConfig
      const from = Option.getOrElse(named, () => databaseSchema)
      yield* answerUnlessStopped(connectAndPublish({ ...options, from }, services(from)), awaitSignal)
    }).pipe(Effect.provide(databaseSettings), Effect.provideService(Logger.LogToStderr, true))
).pipe(withHelp(
  "publish",
  "Show the tables of a schema by views in another one, all in one transaction once they have caught up; exit code 0 done, 3 not "
    + "ready, 4 rejected, 1 nothing was changed for another reason, 2 the command line or a setting is wrong"
))
