/** Runs the product in a process of its own and measures it from outside. */
import type { ChildProcess } from "node:child_process"
import { tmpdir } from "node:os"
import type { Bench } from "./bench.ts"
import { hasEnded, start, stop } from "./children.ts"
import { now, sleep } from "./clock.ts"
import { DATASET } from "./flight/admin.ts"
import type { Expected } from "./flight/main.ts"
import { childrenCpuSeconds, cpuSeconds, peakRssMb } from "./proc.ts"

/** The schema that the product fills; dropped before every run, and left for what comes after one. */
export const SCHEMA = "ours"

export const STREAM_STARTED = "Started reorg stream"
const POLL_MILLIS = 10
const START_TIMEOUT_MILLIS = 60_000
/** A run that is slower than this is no measurement. */
const SLOWEST_ROWS_PER_SECOND = 5_000
const KEPT_OUTPUT = 20_000

export interface ProductRequest {
  /** What its tables hold in the end. */
  readonly expected: ReadonlyArray<Expected>
  /** Port of PostgreSQL, such as that of a proxy; the server's own where absent. */
  readonly databasePort?: number
  readonly environment?: Readonly<Record<string, string>>
  readonly onLine?: (line: string, at: number) => void
}

export interface Product {
  readonly pid: number
  readonly spawnedAt: number
  /** Waits for the first stream; the answer is when it began. */
  readonly streaming: () => Promise<number>
  /** Waits until every table has all its blocks, and its primary key. */
  readonly complete: () => Promise<void>
  readonly failUnlessAlive: () => void
  readonly stop: () => Promise<void>
}

const lastWords = (child: ChildProcess, output: string): Error =>
  new Error(`the product ended with ${child.signalCode ?? `exit code ${child.exitCode}`}; its output:\n${output}`)

const environmentOf = (bench: Bench, request: ProductRequest): NodeJS.ProcessEnv => ({
  PATH: process.env["PATH"],
  DATASET,
  TABLES: request.expected.map(({ table }) => table).join(","),
  DATABASE_URL: bench.postgres.urlThrough(request.databasePort ?? bench.postgres.port),
  DATABASE_SCHEMA: SCHEMA,
  AMP_FLIGHT_ADDR: `http://127.0.0.1:${bench.ports.flight}`,
  AMP_ADMIN_API_ADDR: `http://127.0.0.1:${bench.ports.admin}`,
  // The floor has its keys from the start.
  DEFER_INDEXES: "off",
  RUST_LOG: "info",
  ...request.environment
})

/** Empties the database and starts the product. */
export const startProduct = async (bench: Bench, request: ProductRequest): Promise<Product> => {
  const { monitor } = bench.postgres
  await monitor.query(`DROP SCHEMA IF EXISTS ${SCHEMA} CASCADE`)
  await monitor.query("CHECKPOINT")
  const spawnedAt = now()
  const child = start(process.execPath, [bench.main], {
    cwd: tmpdir(),
    env: environmentOf(bench, request),
    stdio: ["ignore", "pipe", "pipe"]
  })
  let output = ""
  let startedAt: number | undefined
  for (const stream of [child.stdout!, child.stderr!]) {
    let rest = ""
    stream.setEncoding("utf8").on("data", (text: string) => {
      const at = now()
      output = (output + text).slice(-KEPT_OUTPUT)
      const lines = (rest + text).split("\n")
      rest = lines.pop() ?? ""
      for (const line of lines) {
        if (line.includes(STREAM_STARTED)) startedAt ??= at
        request.onLine?.(line, at)
      }
    })
  }
  const failUnlessAlive = (): void => {
    if (child.pid === undefined || hasEnded(child)) throw lastWords(child, output)
    bench.flight.failUnlessAlive()
    bench.proxy.failUnlessAlive()
  }
  const within = async (millis: number, what: string, done: () => Promise<boolean>): Promise<void> => {
    for (const until = now() + millis; !(await done()); await sleep(POLL_MILLIS)) {
      failUnlessAlive()
      if (now() > until) throw new Error(`the product did not ${what} within ${millis} ms; its output:\n${output}`)
    }
  }
  return {
    pid: child.pid ?? -1,
    spawnedAt,
    streaming: async () => {
      await within(START_TIMEOUT_MILLIS, "start a stream", async () => startedAt !== undefined)
      return startedAt!
    },
    complete: () => {
      const rows = request.expected.reduce((sum, table) => sum + table.rows, 0)
      const millis = START_TIMEOUT_MILLIS + (rows / SLOWEST_ROWS_PER_SECOND) * 1000
      return within(millis, "complete its tables", () => isComplete(bench, request.expected))
    },
    failUnlessAlive,
    stop: () => stop(child)
  }
}

/** Progress is read on one connection that is there already: a poll every 10 ms costs next to nothing. */
const isComplete = async (bench: Bench, expected: ReadonlyArray<Expected>): Promise<boolean> => {
  const { rows } = await bench.postgres.monitor.query<{ name: string; block: string | null }>(
    `SELECT table_name AS name, max_block_num AS block FROM ${SCHEMA}._ampsync_checkpoints`
  )
  const blocks = new Map(rows.map(({ block, name }) => [name, Number(block ?? -1)]))
  if (!expected.every(({ lastBlock, table }) => (blocks.get(table) ?? -1) >= lastBlock)) return false
  const { rows: [keyed] } = await bench.postgres.monitor.query<{ n: string }>(
    `SELECT count(*) AS n FROM pg_constraint WHERE contype = 'p' AND conrelid = ANY($1::regclass[])`,
    [expected.map(({ table }) => `${SCHEMA}."${table}"`)]
  )
  return Number(keyed?.n) === expected.length
}

/** Fails unless `schema` holds exactly the rows that were sent. */
export const checkRows = async (bench: Bench, schema: string, expected: ReadonlyArray<Expected>): Promise<void> => {
  for (const { rows, table } of expected) {
    const { rows: [counted] } = await bench.postgres.monitor.query<{ n: string }>(
      `SELECT count(*) AS n FROM ${schema}."${table}"`
    )
    const found = Number(counted?.n)
    if (found !== rows) throw new Error(`${schema}.${table} holds ${found} rows and not the ${rows} that were sent`)
  }
}

export interface ProductFigures {
  readonly wallMillis: number
  /** From the start of the process to its first stream. */
  readonly startMillis: number
  readonly cpuSeconds: number | undefined
  readonly backendCpuSeconds: number | undefined
  readonly sourceCpuSeconds: number | undefined
  readonly peakRssMb: number | undefined
}

const difference = (after: number | undefined, before: number | undefined): number | undefined =>
  after === undefined || before === undefined ? undefined : after - before

/** One catch-up, from the first stream to the last block of the last table. CPU time includes the start. */
export const runProduct = async (bench: Bench, request: ProductRequest): Promise<ProductFigures> => {
  const { flight, postgres } = bench
  const backends = () => childrenCpuSeconds(postgres.postmasterPid, postgres.monitorPid)
  const product = await startProduct(bench, request)
  let figures: ProductFigures
  try {
    const [backendsBefore, sourceBefore] = [backends(), cpuSeconds(flight.pid)]
    const startedAt = await product.streaming()
    await product.complete()
    figures = {
      wallMillis: now() - startedAt,
      startMillis: startedAt - product.spawnedAt,
      cpuSeconds: cpuSeconds(product.pid),
      backendCpuSeconds: difference(backends(), backendsBefore),
      sourceCpuSeconds: difference(cpuSeconds(flight.pid), sourceBefore),
      peakRssMb: peakRssMb(product.pid)
    }
  } finally {
    await product.stop()
  }
  await checkRows(bench, SCHEMA, request.expected)
  return figures
}
