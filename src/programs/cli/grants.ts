/** The verb `grants`. */
import { NodeHttpClient } from "@effect/platform-node"
import { Effect, Layer, Logger, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import { identifierProblem } from "../../domain/postgres/table/identifiers.ts"
import { layer as adminApi } from "../../layers/AdminApi.ts"
import { layer as manifestSource } from "../../layers/ManifestSource.ts"
import { awaitSignal } from "../../layers/Signals.ts"
import { grants } from "../verbs/grants/grants.ts"
import { answerUnlessStopped } from "../verbs/untilStopped.ts"
import { withDefault } from "./flags.ts"
import { allSettings, withHelp } from "./settings.ts"

const role = (name: string) =>
  Flag.String(name).pipe(
    Flag.withSchema(Schema.String.check(
      Schema.makeFilter((text) =>
        identifierProblem(text) ?? (text === "public" || text === "none" ? "it is reserved" : true)
      )
    ))
  )

/** Evaluates a config file; nothing is asked of the server. */
const config = manifestSource.pipe(Layer.provide(adminApi), Layer.provide(NodeHttpClient.layerNodeHttp))

export const grantsCommand = Command.make(
  "grants",
  {
    writer: role("writer").pipe(
      Flag.withDescription("Role that a sync connects with (default: that of the settings)"),
      Flag.optional
    ),
    reader: role("reader").pipe(withDefault("ampsync_reader", "Role that may only read")),
    owner: role("owner").pipe(
      Flag.withDescription("Another role that owns tables of the sync, whose rights the writer gets"),
      Flag.optional
    )
  },
  (options) =>
    answerUnlessStopped(Effect.provide(grants(options), config), awaitSignal).pipe(
      Effect.provide(allSettings),
      Effect.provideService(Logger.LogToStderr, true)
    )
).pipe(withHelp(
  "grants",
  "Print the SQL that gives a sync and its readers the least rights they need, without connecting to anything"
))
