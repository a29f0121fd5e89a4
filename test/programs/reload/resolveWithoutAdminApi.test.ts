import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { resolveWithoutAdminApi } from "../../../src/programs/reload/resolveWithoutAdminApi.ts"
import { FlightError } from "../../../src/services/FlightClient.ts"
import { flightClient } from "../../doubles/FlightClient.ts"
import { exampleManifest } from "../../support/exampleManifest.ts"
import { testSettings } from "../../support/testSettings.ts"
import { unreachableDatabase } from "../../support/unreachableDatabase.ts"

/** A config with an owner, on a server that has a dataset of the same name in its default namespace. */
const owned = exampleManifest({
  dependencies: { rpc: { owner: "acme", name: "anvil", version: "0.1.0" } },
  tables: { t: { sql: "SELECT block_num FROM rpc.blocks" } }
})

/** Resolves it; a query of the owner's dataset fails with `status`. Returns the queries that were planned as well. */
const resolving = Effect.fnUntraced(function*(status: string) {
  const planned: Array<string> = []
  const describe = (sql: string) => {
    planned.push(sql)
    return sql.includes("acme")
      ? Effect.fail(new FlightError({ operation: "GetFlightInfo", status, detail: "injected", retryable: true }))
      : Effect.void
  }
  const result = yield* resolveWithoutAdminApi(owned).pipe(
    Effect.result,
    Effect.provide(Layer.merge(flightClient({ describe }), testSettings(unreachableDatabase)))
  )
  return { result, planned }
})

describe("a config that is resolved over Flight alone", () => {
  it.effect("is not resolved to a dataset of another namespace because the server was busy", () =>
    Effect.gen(function*() {
      for (const status of ["RESOURCE_EXHAUSTED", "ABORTED", "UNKNOWN", "UNAUTHENTICATED", "UNAVAILABLE"]) {
        const { planned, result } = yield* resolving(status)
        assert.deepInclude(result, { _tag: "Failure" }, status)
        assert.lengthOf(planned, 1, status)
      }
    }))

  it.effect("is resolved to the default namespace where the server knows no dataset of the owner", () =>
    Effect.gen(function*() {
      for (const status of ["INTERNAL", "INVALID_ARGUMENT", "NOT_FOUND"]) {
        const { planned, result } = yield* resolving(status)
        assert.deepInclude(result, { _tag: "Success" }, status)
        assert.include(planned.at(-1), "\"_/anvil@0.1.0\"")
      }
    }))
})
