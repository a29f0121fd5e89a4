/** A nozzle server: its ranges declare no ends, those without rows are invisible, and its SQL cannot name every version. */
import { status } from "@grpc/grpc-js"
import { Effect } from "effect"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { replaceConfig } from "../../support/runningSync.ts"
import { awaitWatermark } from "../../support/snapshots.ts"
import { makeWorld, manifestOf } from "../../support/world.ts"
import type { Stage } from "./stage.ts"

const QUERIES = {
  blocks: "SELECT * FROM anvil.blocks WHERE block_num < 20 OR block_num > 25",
  tip: "SELECT * FROM anvil.blocks WHERE block_num >= 19"
}

/** An Admin API in front of the one at `url`, on which the version `from` there is called `to`. */
const renamed = Effect.fnUntraced(function*(url: string, from: string, to: string) {
  const server = createServer((request, response) => {
    void fetch(url + (request.url ?? "").replaceAll(to, from)).then(async (answer) => {
      response.writeHead(answer.status, { "content-type": "application/json" })
      response.end((await answer.text()).replaceAll(from, to))
    })
  })
  yield* Effect.acquireRelease(
    Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))),
    () =>
      Effect.promise(() => {
        server.closeAllConnections()
        return new Promise<void>((resolve) => server.close(() => resolve()))
      })
  )
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})

export const nozzle = Effect.fnUntraced(function*({ sees, start }: Stage) {
  const world = yield* makeWorld({ dialect: "nozzle", blocks: 20, maxRangeBlocks: 1, version: "0.1.0-a-b" })
  const { faults, mine } = world.simulator
  const config = (queries: typeof QUERIES | { readonly tip: string }) => ({
    ...manifestOf("nozzle", queries) as object,
    dependencies: { anvil: "_/anvil@0.1.0" }
  })
  yield* replaceConfig(world, config(QUERIES))
  yield* start({
    ...world.environment,
    DEFER_INDEXES: "always",
    AMP_ADMIN_API_ADDR: yield* renamed(world.simulator.adminUrl, "0.1.0-a-b", "0.1.0-a_b")
  })
  yield* sees("pinLeftOut", "caughtUp", "keysBuilt")
  faults.failNext("GetFlightInfo", status.PERMISSION_DENIED, "blocks are not for you", 1000)
  mine(10)
  yield* sees("blockNotChecked", "headUnreadable")
  for (const table of ["blocks", "tip"]) yield* awaitWatermark(world, table, 28n)
  faults.clear()
  faults.swapPrevHash(2)
  mine(1)
  yield* sees("reconnecting")
  yield* awaitWatermark(world, "blocks", 29n)
  yield* replaceConfig(world, config({ tip: QUERIES.tip }))
  yield* sees("trimmed")
})
