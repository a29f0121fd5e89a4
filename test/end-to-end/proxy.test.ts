import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { startAmpsync } from "../support/ampsyncProcess.ts"
import { awaitCanonicalChain } from "../support/snapshots.ts"
import { makeWorld } from "../support/world.ts"

const proxied = { https_proxy: "http://me:s3cret@127.0.0.1:1", http_proxy: "http://me:s3cret@127.0.0.1:1" }

describe("an HTTP proxy of the environment", () => {
  it.live("is left alone for servers on the loopback, and named with its reason where it does not connect", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 20, queries: { blocks: "SELECT * FROM anvil.blocks" } })
      yield* Effect.scoped(Effect.gen(function*() {
        yield* startAmpsync({ ...world.environment, ...proxied })
        yield* awaitCanonicalChain(world, ["blocks"])
      }))
      const environment = { ...world.environment, AMP_FLIGHT_ADDR: "https://amp.invalid", RUST_LOG: "debug" }
      const process = yield* startAmpsync({ ...environment, ...proxied })
      yield* process.prints("through the proxy 127.0.0.1:1 of https_proxy")
      yield* process.prints("grpc-js: Failed to connect to proxy 127.0.0.1:1 with error connect ECONNREFUSED")
      for (const unwanted of [/^E /m, /s3cret/, /Last error: undefined/]) assert.notMatch(process.output(), unwanted)
    }))
})
