/** The health API alone: a real HTTP server over what a test records. */
import { assert } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { layerFrom, type SettingValues } from "../../src/layers/Config.ts"
import { layer } from "../../src/layers/HealthApi.ts"
import { layer as syncStatus } from "../../src/layers/SyncStatus.ts"
import { StatusRecorder } from "../../src/services/SyncStatus.ts"
import { recordedLog } from "../doubles/Log.ts"
import { connected } from "../doubles/statusEvents.ts"
import { healthAddress, reasons } from "./health.ts"

export const QUERY = "SELECT secret_column FROM anvil.logs"

export const config = {
  dataset: "_/example@0.1.0",
  version: "0.1.0",
  dialect: "amp",
  sources: [{ dataset: "_/anvil", version: "0.1.0" }],
  fingerprint: "f",
  tables: ["logs"],
  queries: [QUERY]
} as const

/** The real layer on a free port of the loopback, and the recorder that a sync would use. */
export const serving = Effect.fnUntraced(function*(values: SettingValues = {}) {
  const { layer: logging, lines } = recordedLog()
  const settings = layerFrom({
    DATASET: "_/anvil",
    TABLES: "logs",
    DATABASE_URL: "postgresql://nobody:hunter2@127.0.0.1:1/none",
    HEALTH_PORT: 0,
    HEALTH_HOST: "127.0.0.1",
    ...values
  })
  const context = yield* Layer.build(
    layer.pipe(Layer.provideMerge(syncStatus), Layer.provideMerge(settings), Layer.provideMerge(logging))
  )
  return { address: healthAddress(lines.join("\n"))!, recorder: Context.get(context, StatusRecorder) }
})

/** As `serving`, with a table that is synced. */
export const ready = Effect.gen(function*() {
  const { address, recorder } = yield* serving()
  yield* recorder.begin(["logs"])
  yield* recorder.activated(config)
  yield* recorder.heartbeat
  yield* recorder.record("logs", { _tag: "Started" })
  yield* recorder.record("logs", connected())
  assert.deepStrictEqual(yield* reasons(address), [])
  return { address, recorder }
})
