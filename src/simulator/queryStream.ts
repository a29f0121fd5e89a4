/** The messages of a DoGet, in the order in which the dialect's server sends them. */
import { status } from "@grpc/grpc-js"
import type { FlightData } from "../domain/flight/FlightData.ts"
import { encodeBatch, encodeSchema } from "./arrowIpc.ts"
import type { Chain } from "./Chain.ts"
import type { Faults } from "./faults.ts"
import { blockAt, type ChainView } from "./forks.ts"
import { batchesOf, batchMessages, countWindow } from "./microbatch.ts"
import { FlightFailure, type Plan } from "./plan.ts"
import { type NextRange, nextRange, type StreamPosition } from "./resume.ts"
import { noRangesMetadata, rangeMetadata } from "./streamMetadata.ts"

/** Limits and pauses of a stream. */
export interface StreamSettings {
  readonly chain: Chain
  readonly faults: Faults
  /** Most blocks of one range. */
  readonly maxRangeBlocks: number
  /** Most rows of one record batch. */
  readonly maxBatchRows: number
  /** amp: pause after which an empty batch shows that the server is still working. */
  readonly keepAliveMillis: number
}

const EMPTY = new Uint8Array(0)
/** A position below 2^53, so that the range's end may be computed as a number. */
const WHOLE_CHAIN = Number.MAX_SAFE_INTEGER

const schemaMessage = (plan: Plan): FlightData => ({
  dataHeader: encodeSchema(plan.fields),
  dataBody: EMPTY,
  appMetadata: EMPTY
})

const emptyBatch = (plan: Plan, appMetadata: Uint8Array): FlightData => {
  const { body, header } = encodeBatch(plan.fields, [])
  return { dataHeader: header, dataBody: body, appMetadata }
}

/** Settles after `millis`, or as soon as `signal` is aborted. */
const sleep = (millis: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      signal.removeEventListener("abort", done)
      resolve()
    }
    const timer = setTimeout(done, millis)
    signal.addEventListener("abort", done)
  })

/** Settles when the visible chain is no longer `seen`, or as soon as `signal` is aborted. */
const chainChanged = (chain: Chain, seen: ChainView, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (chain.view !== seen || signal.aborted) return resolve()
    const done = () => {
      stop()
      signal.removeEventListener("abort", done)
      resolve()
    }
    const stop = chain.onChange(done)
    signal.addEventListener("abort", done)
  })

/** Streams ranges without end; stops only when aborted, or at once when the tables have no data yet. */
export async function* streamingQuery(
  settings: StreamSettings,
  plan: Plan,
  cursor: StreamPosition | undefined,
  signal: AbortSignal
): AsyncGenerator<FlightData> {
  const { chain, faults } = settings
  const dialect = chain.dialect
  if (faults.noData || chain.tip < plan.dataset.startBlock) {
    if (dialect === "amp") {
      yield schemaMessage(plan)
      yield emptyBatch(plan, noRangesMetadata(dialect, true))
    }
    return
  }
  if (plan.sortsGroups) {
    yield schemaMessage(plan)
    const details = "streaming query execution error | Caused by: query contains non-incremental operation: Sort"
    throw new FlightFailure({ code: status.INTERNAL, details })
  }
  let position = cursor
  let schemaSent = false
  while (!signal.aborted) {
    const view = chain.view
    const range = nextRange(chain, plan.dataset.startBlock, settings.maxRangeBlocks, position)
    if (range === undefined) {
      await chainChanged(chain, view, signal)
      continue
    }
    for await (const message of rangeMessages(settings, plan, view, range, signal)) {
      if (!schemaSent) yield schemaMessage(plan)
      schemaSent = true
      yield message
    }
    position = { number: range.end, hash: range.hash }
  }
}

/** nozzle: the rows. amp: the rows, empty batches in pauses, and the empty batch that completes the range. */
async function* rangeMessages(
  settings: StreamSettings,
  plan: Plan,
  view: ChainView,
  next: NextRange,
  signal: AbortSignal
): AsyncGenerator<FlightData> {
  const { chain, faults } = settings
  const dialect = chain.dialect
  const range = { ...next, wrongPrevHash: faults.takeWrongPrevHash() }
  const pending = rangeMetadata(dialect, plan.dataset.network, range, false)
  // The first tick of the keep-alive timer fires at once: seen whenever the first rows are not ready immediately.
  if (dialect === "amp" && range.start % 2n === 0n) yield emptyBatch(plan, pending)
  const cutAtBlockEnd = dialect === "amp" && plan.fields.some((field) => field.name === "_block_num")
  const source = { chain, view, plan, start: range.start, end: range.end, maxRows: settings.maxBatchRows }
  for (const windows of batchesOf({ ...source, cutAtBlockEnd })) {
    for (const message of batchMessages(plan.fields, windows, pending)) {
      yield* pause(settings, plan, pending, signal)
      if (signal.aborted) return
      yield message
    }
  }
  if (dialect === "nozzle") return
  yield* pause(settings, plan, pending, signal)
  yield emptyBatch(plan, rangeMetadata(dialect, plan.dataset.network, range, true))
}

/** Waits for the configured delay; meanwhile an amp server sends keep-alive batches. */
async function* pause(
  settings: StreamSettings,
  plan: Plan,
  pending: Uint8Array,
  signal: AbortSignal
): AsyncGenerator<FlightData> {
  const until = Date.now() + settings.faults.delayMillis
  for (let left = settings.faults.delayMillis; left > 0 && !signal.aborted; left = until - Date.now()) {
    if (settings.chain.dialect === "nozzle" || left <= settings.keepAliveMillis) await sleep(left, signal)
    else {
      await sleep(settings.keepAliveMillis, signal)
      yield emptyBatch(plan, pending)
    }
  }
}

/** Executes a query once over the present blocks. */
export function* batchQuery(settings: StreamSettings, plan: Plan): Generator<FlightData> {
  const { chain, faults } = settings
  const dialect = chain.dialect
  const range = faults.noData ? undefined : nextRange(chain, plan.dataset.startBlock, WHOLE_CHAIN, undefined)
  const metadata = (complete: boolean) =>
    dialect === "nozzle" || range === undefined
      ? noRangesMetadata(dialect, complete)
      : rangeMetadata(dialect, plan.dataset.network, range, complete)
  let schemaSent = false
  for (const windows of resultOf(settings, plan, range)) {
    if (!schemaSent) yield schemaMessage(plan)
    schemaSent = true
    yield* batchMessages(plan.fields, windows, metadata(false))
  }
  if (dialect === "nozzle") return
  if (!schemaSent) {
    yield schemaMessage(plan)
    yield emptyBatch(plan, metadata(false))
  }
  yield emptyBatch(plan, metadata(true))
}

const resultOf = (settings: StreamSettings, plan: Plan, range: NextRange | undefined) => {
  const { chain, maxBatchRows } = settings
  if (plan.count) return [countWindow(range === undefined ? 0 : countRows(chain, plan, range))]
  if (range === undefined) return []
  const { end, start } = range
  return batchesOf({ chain, view: chain.view, plan, start, end, maxRows: maxBatchRows, cutAtBlockEnd: false })
}

const countRows = (chain: Chain, plan: Plan, range: NextRange): number => {
  let rows = 0
  for (let block = range.start; block <= range.end; block += 1n) {
    const id = blockAt(chain.view, block)
    if (id !== undefined && plan.includes(block)) rows += plan.rowsOf(chain.source(id))
  }
  return Math.min(rows, plan.limit ?? rows)
}
