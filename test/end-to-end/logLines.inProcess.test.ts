/** Log lines that no operator of the program can bring about. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Logger } from "effect"
import * as log from "../../src/domain/logLines.ts"
import { layerWithSettings } from "../../src/programs/ampsync.ts"
import { SyncStatus } from "../../src/services/SyncStatus.ts"
import { eventually } from "../support/eventually.ts"
import { makeWorld } from "../support/world.ts"

describe("a sync inside of an app", () => {
  it.live("an app whose own logger fails is told that the sync has ended, and every table is parked", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 5, queries: { blocks: "SELECT * FROM anvil.blocks" } })
      const lines: Array<string> = []
      const logger = Logger.make<unknown, void>(({ logLevel, message }) => {
        const text = [message].flat().join(" ")
        if (text.startsWith("Schema mismatch")) throw new Error("the disk of the log is full")
        lines.push(`${logLevel} ${text}`)
      })
      const context = yield* Layer.build(Layer.provide(layerWithSettings(world.environment), Logger.layer([logger])))
      yield* eventually("the end is logged", Effect.sync(() => lines.includes(`Error ${log.syncEnded}`)), 20_000)
      const tables = yield* Context.get(context, SyncStatus).get
      assert.deepStrictEqual([...tables.values()].map(({ phase }) => phase), ["parked"])
    }))
})
