/** Time from the start of the process to its first stream, against a Node process that does nothing. */
import { once } from "node:events"
import type { Bench, CaseResult } from "../bench.ts"
import { start as startProcess } from "../children.ts"
import { now } from "../clock.ts"
import { startProduct } from "../product.ts"
import { type Figures, medians } from "../stats.ts"
import { oneTable } from "./streams.ts"

const STARTS_PER_ROUND = 4
const TINY_SCALE = 0.001

const emptyNode = async (): Promise<number> => {
  const began = now()
  await once(startProcess(process.execPath, ["-e", "0"], { stdio: "ignore" }), "exit")
  return now() - began
}

export const start = async (bench: Bench): Promise<ReadonlyArray<CaseResult>> => {
  await bench.flight.call("load", oneTable(TINY_SCALE))
  const expected = await bench.flight.call("behave", {})
  const rounds: Array<Figures> = []
  const starts = bench.options.tiny ? 1 : bench.options.rounds * STARTS_PER_ROUND
  while (rounds.length < starts) {
    const emptyNodeMillis = await emptyNode()
    const product = await startProduct(bench, { expected })
    try {
      const startMillis = await product.streaming() - product.spawnedAt
      rounds.push({ startMillis, emptyNodeMillis, startRatio: startMillis / emptyNodeMillis })
    } finally {
      await product.stop()
    }
  }
  const title = "from the start of the process to `Started reorg stream`"
  return [{ name: "start", title, rows: 0, rounds, median: medians(rounds) }]
}
