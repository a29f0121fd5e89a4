/** Memory of the whole program while PostgreSQL takes nothing: the sum that ARCHITECTURE.md gives. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { existsSync, readFileSync } from "node:fs"
import { startAmpsync } from "../support/ampsyncProcess.ts"
import { eventually } from "../support/eventually.ts"
import { startProxy, throughProxy } from "../support/proxy.ts"
import { makeWorld } from "../support/world.ts"

const MEBIBYTE = 1024 * 1024
/** What the simulator makes of large batches, as the real servers do. */
const FRAME = 2 * MEBIBYTE
const WINDOW = MEBIBYTE
const PER_PERMIT = 9 * 256 * 1024 + 3 * MEBIBYTE + FRAME + WINDOW
const PER_TABLE = 2 * FRAME + WINDOW
/** What V8 keeps of what is free already. */
const GARBAGE = 64 * MEBIBYTE

const residentBytes = (pid: number): number =>
  1024 * Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1])

describe.skipIf(!existsSync("/proc/self/status"))("while PostgreSQL takes nothing", () => {
  it.live.each([1, 10, 40])(
    "I8 the memory of %s tables is bounded by settings",
    (count) =>
      Effect.gen(function*() {
        const names = Array.from({ length: count }, (_, i) => `t${i}`)
        const world = yield* makeWorld({
          dialect: "amp",
          blocks: 4_000,
          queries: Object.fromEntries(names.map((name) => [name, "SELECT * FROM anvil.logs"]))
        })
        const proxy = yield* startProxy(Number(new URL(world.database.url).port))
        const process = yield* startAmpsync({
          ...world.environment,
          DATABASE_URL: throughProxy(world.database.url, proxy),
          MAX_CONCURRENT_BATCHES: "1"
        })
        yield* process.prints("Preparing to sync dataset")
        const before = residentBytes(process.pid)
        for (const name of names) yield* process.prints(`Started reorg stream for table: ${name}`)
        proxy.freeze()
        let peak = 0
        for (let i = 0; i < 60; i += 1) {
          yield* Effect.sleep("50 millis")
          peak = Math.max(peak, residentBytes(process.pid))
        }
        const grown = Math.round((peak - before) / MEBIBYTE)
        assert.isAtMost(
          grown,
          Math.round((PER_PERMIT + count * PER_TABLE + GARBAGE) / MEBIBYTE),
          `MiB with ${count} tables`
        )
        proxy.restore()
        yield* eventually(
          "every table is written again",
          Effect.map(
            world.database.query<{ n: string }>(
              "SELECT count(*) AS n FROM _ampsync_checkpoints WHERE max_block_num >= 3999"
            ),
            ([row]) => Number(row!.n) === count
          ),
          120_000
        )
      }),
    240_000
  )
})
