/** The verb `init`. */
import { NodeHttpClient } from "@effect/platform-node"
import { Effect, Layer, Logger, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { layerOn as adminApiOn } from "../../layers/AdminApi.ts"
import { serverSettings } from "../../layers/Config.ts"
import { awaitSignal } from "../../layers/Signals.ts"
import { init } from "../verbs/init.ts"
import { answerUnlessStopped } from "../verbs/untilStopped.ts"
import { toggle, withDefault } from "./flags.ts"
import { logging, withHelp } from "./settings.ts"

const text = (name: string, description: string) =>
  Flag.optional(Flag.String(name).pipe(Flag.withDescription(description)))

export const initCommand = Command.make(
  "init",
  {
    dataset: text(
      "dataset",
      "Dataset as [namespace/]name[@version]; without it a terminal asks, and else they are listed"
    ),
    tables: text("tables", "Names of its tables, separated by commas (default: all)"),
    abi: text("abi", "JSON ABI of a contract: one more table for each of its events"),
    out: Flag.String("out").pipe(withDefault("amp.config.ts", "File to write, .ts or .json")),
    force: toggle("force", "Replace the file if it exists")
  },
  ({ abi, dataset, tables, ...options }) =>
    answerUnlessStopped(
      init({
        ...options,
        abi: Option.getOrUndefined(abi),
        dataset: Option.getOrUndefined(dataset),
        tables: Option.getOrUndefined(tables)
      }),
      awaitSignal
    ).pipe(
      Effect.provide(
        Layer.unwrap(Effect.map(serverSettings, adminApiOn)).pipe(
          Layer.provide(NodeHttpClient.layerNodeHttp),
          Layer.provideMerge(logging)
        )
      ),
      Effect.provideService(Logger.LogToStderr, true)
    )
).pipe(withHelp(
  "init",
  "Write a first config file from a dataset of the server; exit code 0 written, 1 the server does not answer or the file cannot be "
    + "written, 2 the command line or a setting is wrong, or the file exists"
))
