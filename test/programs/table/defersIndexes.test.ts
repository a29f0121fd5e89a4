import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { layerFrom, type SettingValues } from "../../../src/layers/Config.ts"
import { defersIndexes } from "../../../src/programs/table/defersIndexes.ts"
import { activeConfigOf } from "../../doubles/activeConfig.ts"
import { type HeadAnswer, headAt, recordedHead } from "../../doubles/SourceHead.ts"
import { exampleManifest } from "../../support/exampleManifest.ts"

const manifest = exampleManifest()

const active = activeConfigOf(manifest, { dialect: "amp", namespace: "_", name: "anvil", version: "1.0.0", tables: [] })

const required = { DATASET: "_/anvil", TABLES: "blocks", DATABASE_URL: "postgresql://nobody@localhost/none" }

/** Whether a table of a chain is created without its keys, and how often the chain was asked. */
const decide = Effect.fnUntraced(function*(values: SettingValues, answer?: HeadAnswer, network?: string) {
  const head = recordedHead(answer)
  const settings = layerFrom({ ...required, ...values })
  const decision = yield* Effect.forkChild(
    defersIndexes(active, manifest.tables[0]!, network).pipe(Effect.provide(Layer.merge(head.layer, settings)))
  )
  yield* TestClock.adjust("5 seconds")
  return [yield* Fiber.join(decision), head.askedAt.length] as const
})

const long: HeadAnswer = () => Effect.succeed(headAt(10_000))
const short: HeadAnswer = () => Effect.succeed(headAt(9_999))

describe("DEFER_INDEXES", () => {
  it.effect("auto defers the keys of a table with 10,000 blocks to fill, and of none whose chain is not known to be long", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* decide({}, long, "anvil"), [true, 1])
      assert.deepStrictEqual(yield* decide({}, short, "anvil"), [false, 1])
      assert.deepStrictEqual(yield* decide({}, undefined, "anvil"), [false, 1])
      assert.deepStrictEqual(yield* decide({}, () => Effect.never, "anvil"), [false, 1])
    }))

  it.effect.each(["electric", "logical"])(
    "auto defers nothing with CDC_READY=%s: followers rely on a primary key",
    (follower) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* decide({ CDC_READY: follower }, long, "anvil"), [false, 0])
        const named = { CDC_READY: follower, CDC_PUBLICATION: "other", DEFER_INDEXES: "auto" }
        assert.deepStrictEqual(yield* decide(named, long, "anvil"), [false, 0])
      })
  )

  it.effect.each(["off", "electric", "logical"])(
    "always and off decide by themselves with CDC_READY=%s",
    (follower) =>
      Effect.gen(function*() {
        const settings = (value: string) => ({ CDC_READY: follower, DEFER_INDEXES: value })
        assert.deepStrictEqual(yield* decide(settings("always"), short, "anvil"), [true, 0])
        assert.deepStrictEqual(yield* decide(settings("always")), [true, 0])
        assert.deepStrictEqual(yield* decide(settings("off"), long, "anvil"), [false, 0])
      })
  )
})
