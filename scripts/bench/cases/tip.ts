/** Latency at the tip: from the completion of a block until another session reads it, against bare SQL. */
import { Writable } from "node:stream"
import { pipeline } from "node:stream/promises"
import pg from "pg"
import { to as copyTo } from "pg-copy-streams"
import type { Bench, CaseResult } from "../bench.ts"
import { now, sleep } from "../clock.ts"
import type { BareBlock } from "../copy.ts"
import { SCHEMA, startProduct } from "../product.ts"
import { type Figures, medians, percentile } from "../stats.ts"
import { shortRanges } from "./streams.ts"

const BLOCKS = 300
const BLOCKS_TINY = 10
const INTERVAL_MILLIS = 40
const ROWS_PER_BLOCK = 200
/** The first commits compile code and fill caches. */
const WARM_UP = 20
const WARM_UP_TINY = 2
const SETTLE_MILLIS = 1_000
const SETTLE_MILLIS_TINY = 200
const BARE_SCHEMA = "bare"

/** Another session, which notes when it learnt of which block. */
class Listener {
  readonly seenAt = new Map<number, number>()
  private readonly notified: pg.Client
  private readonly reader: pg.Client
  private checkpoints = `${SCHEMA}._ampsync_checkpoints`
  private last = -1
  private notifiedAt = 0
  private reading = false

  private constructor(notified: pg.Client, reader: pg.Client) {
    this.notified = notified
    this.reader = reader
  }

  static async start(bench: Bench): Promise<Listener> {
    const connect = async () => {
      const client = new pg.Client({ connectionString: bench.postgres.urlThrough(bench.postgres.port) })
      client.on("error", () => undefined)
      await client.connect()
      return client
    }
    const listener = new Listener(await connect(), await connect())
    listener.notified.on("notification", () => {
      listener.notifiedAt = now()
      void listener.readCheckpoint().catch(() => undefined)
    })
    await listener.notified.query("LISTEN ampsync")
    return listener
  }

  /** Forgets what was seen; `checkpoints` is the table that is read from now on. */
  watch(checkpoints: string): void {
    this.checkpoints = checkpoints
    this.last = -1
    this.seenAt.clear()
  }

  /** A commit may contain rows alone: only the checkpoint shows up to which block the table is complete. */
  private async readCheckpoint(): Promise<void> {
    if (this.reading) return
    this.reading = true
    try {
      for (let at = 0; at !== this.notifiedAt;) {
        at = this.notifiedAt
        const { rows: [row] } = await this.reader.query<{ block: string | null }>(
          `SELECT max(max_block_num) AS block FROM ${this.checkpoints}`
        )
        const block = Number(row?.block ?? -1)
        if (block > this.last) this.seenAt.set(block, at)
        this.last = Math.max(this.last, block)
      }
    } finally {
      this.reading = false
    }
  }

  /** When all rows of `block` were there: with that block, or with the next one that was seen. */
  sawAt(block: number): number {
    const at = [...this.seenAt].find(([seen]) => seen >= block)?.[1]
    if (at === undefined) throw new Error(`block ${block} was never seen`)
    return at
  }

  async close(): Promise<void> {
    await this.notified.end()
    await this.reader.end()
  }
}

const rowsOfBlock = async (bench: Bench, block: number): Promise<BareBlock> => {
  const parts: Array<Uint8Array> = []
  const rows = `SELECT * FROM ${SCHEMA}.logs WHERE _block_num = ${block} ORDER BY _row_index`
  await pipeline(
    bench.postgres.monitor.query(copyTo(`COPY (${rows}) TO STDOUT (FORMAT BINARY)`)),
    new Writable({
      write: (part: Uint8Array, _, done) => {
        parts.push(part)
        done()
      }
    })
  )
  return { block, bytes: Buffer.concat(parts) }
}

interface Latencies {
  readonly written: ReadonlyArray<number>
  readonly flushed: ReadonlyArray<number>
  readonly blocks: ReadonlyArray<number>
}

const productTip = async (bench: Bench, listener: Listener, blocks: number): Promise<Latencies> => {
  const settle = bench.options.tiny ? SETTLE_MILLIS_TINY : SETTLE_MILLIS
  listener.watch(`${SCHEMA}._ampsync_checkpoints`)
  const expected = await bench.flight.call("behave", { paced: true })
  const product = await startProduct(bench, { expected })
  try {
    await product.streaming()
    await sleep(settle)
    const sent = await bench.flight.call("sendBlocks", { table: "logs", blocks, intervalMillis: INTERVAL_MILLIS })
    await sleep(settle)
    product.failUnlessAlive()
    return {
      written: sent.map(({ block, writtenAt }) => listener.sawAt(block) - writtenAt),
      flushed: sent.map(({ block, flushedAt }) => listener.sawAt(block) - flushedAt),
      blocks: sent.map(({ block }) => block)
    }
  } finally {
    await product.stop()
  }
}

const bareTip = async (bench: Bench, listener: Listener, blocks: ReadonlyArray<number>) => {
  const { monitor, port, urlThrough } = bench.postgres
  const rows: Array<BareBlock> = []
  for (const block of blocks) rows.push(await rowsOfBlock(bench, block))
  await monitor.query(`DROP SCHEMA IF EXISTS ${BARE_SCHEMA} CASCADE; CREATE SCHEMA ${BARE_SCHEMA}`)
  await monitor.query(`CREATE TABLE ${BARE_SCHEMA}.logs (LIKE ${SCHEMA}.logs INCLUDING ALL)`)
  const checkpoints = `${BARE_SCHEMA}.checkpoints`
  await monitor.query(`CREATE TABLE ${checkpoints} (LIKE ${SCHEMA}._ampsync_checkpoints INCLUDING ALL)`)
  await monitor.query(`INSERT INTO ${checkpoints} (table_name, max_block_num) VALUES ('logs', 0)`)
  listener.watch(checkpoints)
  const copier = bench.copiers[0]!
  await copier.call("connect", urlThrough(port))
  const request = { into: `${BARE_SCHEMA}.logs`, checkpoints, blocks: rows, intervalMillis: INTERVAL_MILLIS }
  const began = await copier.call("bare", request)
  await sleep(SETTLE_MILLIS_TINY)
  return began.map(({ beganAt, block }) => listener.sawAt(block) - beganAt)
}

/** Blocks of 200 rows, one every 40 ms; product and bare SQL in turn. */
export const tip = async (bench: Bench): Promise<ReadonlyArray<CaseResult>> => {
  const { rounds, tiny } = bench.options
  const [blocks, warmUp] = tiny ? [BLOCKS_TINY, WARM_UP_TINY] : [BLOCKS, WARM_UP]
  await bench.flight.call("load", shortRanges((blocks * ROWS_PER_BLOCK) / 1e6, 1))
  const listener = await Listener.start(bench)
  const measured: Array<Figures> = []
  try {
    while (measured.length < rounds) {
      const product = await productTip(bench, listener, blocks)
      const bare = (await bareTip(bench, listener, product.blocks)).slice(warmUp)
      const [written, flushed] = [product.written.slice(warmUp), product.flushed.slice(warmUp)]
      measured.push({
        ratioP50: percentile(flushed, 50) / percentile(bare, 50),
        ratioP99: percentile(flushed, 99) / percentile(bare, 99),
        writtenP50Millis: percentile(written, 50),
        writtenP99Millis: percentile(written, 99),
        arrivedP50Millis: percentile(flushed, 50),
        arrivedP99Millis: percentile(flushed, 99),
        bareP50Millis: percentile(bare, 50),
        bareP99Millis: percentile(bare, 99)
      })
    }
  } finally {
    await listener.close()
  }
  const title = `a block of ${ROWS_PER_BLOCK} rows every ${INTERVAL_MILLIS} ms`
  return [{ name: "tip", title, rows: blocks * ROWS_PER_BLOCK, rounds: measured, median: medians(measured) }]
}
