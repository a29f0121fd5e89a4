/** A server that refuses the token: the message for the operator, and when a later token is used. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { startSimulator } from "../../../src/simulator/Simulator.ts"
import { temporaryDirectory } from "../../support/temporaryDirectory.ts"
import { clientOf, open, SQL } from "./client.ts"

describe("a token that the Flight server refuses", () => {
  it.live("is retried where it is in a file, which is named, and the next one is used without a restart", () =>
    Effect.gen(function*() {
      const path = join(yield* temporaryDirectory, "token")
      const write = (token: string) => Effect.promise(() => writeFile(path, `${token}\n`))
      const { faults, flightUrl } = yield* startSimulator({ dialect: "amp", blocks: 5, token: "0ld" })
      yield* write("0ld")
      const client = yield* clientOf(flightUrl, { AMP_AUTH_TOKEN_FILE: path })
      yield* Stream.runDrain(Stream.take(open(client), 1))
      faults.token = "n3w"
      for (const error of [yield* Effect.flip(client.schema(SQL)), yield* Effect.flip(Stream.runDrain(open(client)))]) {
        assert.deepInclude(error, { status: "UNAUTHENTICATED", retryable: true })
        assert.include(error.message, "missing or invalid bearer token; check AMP_AUTH_TOKEN_FILE")
        assert.notInclude(error.message, "0ld")
      }
      yield* write("n3w")
      yield* Stream.runDrain(Stream.take(open(client), 1))
    }))

  it.live("is not retried where it is in the variable, which is named, or is missing", () =>
    Effect.gen(function*() {
      const { flightUrl } = yield* startSimulator({ dialect: "amp", blocks: 5, token: "t0ken" })
      const wrong = yield* Effect.flip((yield* clientOf(flightUrl, { AMP_AUTH_TOKEN: "wr0ng" })).schema(SQL))
      assert.deepInclude(wrong, { status: "UNAUTHENTICATED", retryable: false })
      assert.include(wrong.message, "check AMP_AUTH_TOKEN")
      const missing = yield* Effect.flip((yield* clientOf(flightUrl)).schema(SQL))
      assert.deepInclude(missing, { status: "UNAUTHENTICATED", retryable: false })
      assert.include(missing.message, "set AMP_AUTH_TOKEN")
    }))
})
