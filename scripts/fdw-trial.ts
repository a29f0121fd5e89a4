/**
 * Tries tables of a sync on several PostgreSQL servers with postgres_fdw, and prints what came of it: docs/scaling.md.
 *
 * `npm run build`, then `npx jiti scripts/fdw-trial.ts`. It needs nothing but Node and npm, and stops what it starts. Exit code 1
 * where something is not as the page has it.
 */
import { Effect } from "effect"
import { startSimulator } from "../src/simulator/Simulator.ts"
import { writeThroughFront } from "./fdw-trial/foreignPartitions.ts"
import { readRanges } from "./fdw-trial/ranges.ts"
import { readRemoteTable } from "./fdw-trial/remoteTable.ts"
import {
  BLOCK_COLUMNS,
  BLOCKS,
  cleanUp,
  complete,
  connect,
  HALF,
  only,
  print,
  removeFiles,
  server,
  sync,
  type Trial
} from "./fdw-trial/servers.ts"

const trial = Effect.gen(function*() {
  const simulator = yield* startSimulator({ dialect: "amp", blocks: BLOCKS, seed: 7 })
  const [front, a, b] = [yield* server("front"), yield* server("a"), yield* server("b")]
  const blocks = (condition: string) => `SELECT ${BLOCK_COLUMNS} FROM anvil.blocks WHERE ${condition}`
  yield* Effect.promise(async () => {
    const { version } = await only(front.query<{ version: string }>("SELECT version()"))
    print(`${version}\n${BLOCKS} blocks, three servers on this machine\n`)
    const first = sync(a, simulator, { blocks: blocks(`_block_num < ${HALF}`) })
    const second = sync(b, simulator, {
      blocks: blocks(`_block_num >= ${HALF}`),
      logs: "SELECT _block_num, block_hash, log_index FROM anvil.logs"
    })
    const all: Trial = {
      simulator,
      front,
      a,
      b,
      complete: async (tip) => {
        await complete(a, first.output, 1, tip)
        await complete(b, second.output, 2, tip)
      }
    }
    await all.complete(BLOCKS - 1)
    await connect(front, a)
    await connect(front, b)
    await readRemoteTable(all)
    await readRanges(all)
    await writeThroughFront(all)
  })
})

try {
  await Effect.runPromise(Effect.scoped(Effect.ensuring(
    trial,
    Effect.promise(cleanUp)
  )))
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`)
  process.exitCode = 1
} finally {
  removeFiles()
}
