/** Takes one sample of a running soak. */
import { Effect } from "effect"
import { readdirSync } from "node:fs"
import { ask } from "../../test/support/health.ts"
import { Scrape } from "../../test/support/prometheus.ts"
import { cpuSeconds, rssMb } from "../bench/proc.ts"
import type { Sample } from "./samples.ts"
import type { SoakStage } from "./stage.ts"
import { CONFIRMED } from "./tables.ts"

const MEBIBYTE = 1024 * 1024

const BOOKKEEPING = [
  "_ampsync_checkpoints",
  "_ampsync_watermarks",
  "_ampsync_reorgs",
  "_ampsync_states",
  "_ampsync_writers"
]

const descriptorsOf = (pid: number): number | undefined => {
  try {
    return readdirSync(`/proc/${pid}/fd`).length
  } catch {
    return undefined
  }
}

interface Row {
  readonly connections: string
  readonly watermark: string | null
  readonly rows: string | null
  readonly bytes: string
  readonly dead: string
}

const query = (schema: string) =>
  `SELECT (SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'ampsync%') AS connections,
     (SELECT min(max_block_num) FROM _ampsync_checkpoints WHERE table_name NOT IN ('${CONFIRMED}', 'sparse')) AS watermark,
     (SELECT sum(rows) FROM _ampsync_checkpoints) AS rows,
     (SELECT sum(pg_total_relation_size(relid)) FROM pg_stat_user_tables
        WHERE schemaname = '${schema}' AND relname LIKE '\\_ampsync\\_%') AS bytes,
     (SELECT sum(n_dead_tup) FROM pg_stat_user_tables WHERE schemaname = '${schema}') AS dead,
     ${BOOKKEEPING.map((name) => `(SELECT count(*) FROM ${name}) AS ${name}`).join(", ")}`

/** Takes a sample; `seconds` is the time since the start. */
export const takeSample = Effect.fnUntraced(function*(
  { health, postgres, process: { pid }, simulator }: SoakStage,
  seconds: number
): Effect.fn.Return<Sample> {
  // The connection of the scrape is closed again before descriptors are counted.
  const { text } = yield* ask(health, "/metrics")
  const scrape = new Scrape(text)
  const [row] = yield* postgres.database.query<Row & Record<string, string>>(query(postgres.database.schema))
  const rss = rssMb(pid)
  const descriptors = descriptorsOf(pid)
  const cpu = cpuSeconds(pid)
  const optional = {
    rss: rss === undefined ? undefined : rss * MEBIBYTE,
    heap: scrape.value("nodejs_heap_size_used_bytes"),
    external: scrape.value("nodejs_external_memory_bytes"),
    descriptors,
    cpuSeconds: cpu,
    loopDelaySeconds: scrape.value("nodejs_eventloop_lag_p99_seconds")
  }
  const measured = Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined))
  return {
    kind: "sample",
    seconds,
    ...measured,
    connections: Number(row!.connections),
    lagBlocks: Number(simulator.chain.tip) - Number(row!.watermark ?? -1),
    block: Number(simulator.chain.tip),
    rows: Number(row!.rows ?? 0),
    reorgs: simulator.chain.reorgs,
    bookkeepingRows: Object.fromEntries(BOOKKEEPING.map((name) => [name, Number(row![name])])),
    bookkeepingBytes: Number(row!.bytes),
    deadRows: Number(row!.dead),
    ownRss: process.memoryUsage.rss()
  }
})
