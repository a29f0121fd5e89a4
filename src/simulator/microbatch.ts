/** Cuts the rows of a range into record batches. */
import type { ArrowField } from "../domain/arrow/ArrowSchema.ts"
import type { FlightData } from "../domain/flight/FlightData.ts"
import { bodySize, encodeBatch, type RowWindow } from "./arrowIpc.ts"
import type { BlockSource } from "./BlockSource.ts"
import type { Chain } from "./Chain.ts"
import { type Column, GrowingBytes, newColumn } from "./columns.ts"
import { blockAt, type ChainView } from "./forks.ts"
import type { Plan } from "./plan.ts"

/** Splits above this size, as the real servers do; a single row is never split. */
const TARGET_BODY_BYTES = 2 * 1024 * 1024

const rowsIn = (windows: ReadonlyArray<RowWindow>): number =>
  windows.reduce((rows, { from, to }) => rows + to - from, 0)

/** The rows of a query that are cut into record batches. */
export interface BatchSource {
  readonly chain: Chain
  /** The chain as it was when the range began: a reorg in the middle of a range does not change its rows. */
  readonly view: ChainView
  readonly plan: Plan
  readonly start: bigint
  readonly end: bigint
  readonly maxRows: number
  /** Cut once more where a block ends that the previous batch had begun. */
  readonly cutAtBlockEnd: boolean
}

/** The rows of blocks `start` to `end` in batches of at most `maxRows`; one block's rows may lie in two of them. */
export function* batchesOf(source: BatchSource): Generator<ReadonlyArray<RowWindow>> {
  const { chain, maxRows, plan, view } = source
  let windows: Array<RowWindow> = []
  let group = new Group(plan)
  let room = maxRows
  let left = plan.limit ?? Number.POSITIVE_INFINITY
  for (const number of numbersOf(source)) {
    if (left <= 0) break
    const id = blockAt(view, number)
    if (id === undefined || !plan.includes(number)) continue
    const rows = Math.min(group.append(chain.source(id)), left)
    left -= rows
    for (let rest = rows; rest > 0;) {
      const taken = Math.min(rest, room)
      const continued = rest < rows && taken === rest && source.cutAtBlockEnd
      room -= taken
      rest -= taken
      group.taken += taken
      if (room > 0 && !continued) continue
      windows.push(group.window())
      yield windows
      windows = []
      if (room === 0) room = maxRows
    }
    // The rows that were sent are released: the waiting rows become a window of their own, and a new group begins.
    if (group.from === 0) continue
    if (group.taken > group.from) windows.push(group.window())
    group = new Group(plan)
  }
  if (group.taken > group.from) windows.push(group.window())
  if (windows.length > 0) yield windows
}

function* numbersOf({ end, plan, start }: BatchSource): Generator<bigint> {
  if (plan.descending) { for (let number = end; number >= start; number -= 1n) yield number }
  else for (let number = start; number <= end; number += 1n) yield number
}

/** The columns of some consecutive blocks. Rows `from` to `taken - 1` belong to the batch that is being filled. */
class Group {
  readonly columns: ReadonlyArray<Column>
  from = 0
  taken = 0
  private readonly plan: Plan

  constructor(plan: Plan) {
    this.plan = plan
    this.columns = plan.columns.map((column) => newColumn(column.field))
  }

  /** Appends the rows of `block`; returns how many they are. */
  append(block: BlockSource): number {
    const rows = this.plan.rowsOf(block)
    if (rows > 0) this.plan.columns.forEach((column, i) => column.append(this.columns[i]!, block))
    return rows
  }

  /** The rows taken since the last time. */
  window(): RowWindow {
    const window = { columns: this.columns, from: this.from, to: this.taken }
    this.from = this.taken
    return window
  }
}

/** Rows `from` to `to - 1` of `windows`, counted over all of them. */
const sliceRows = (windows: ReadonlyArray<RowWindow>, from: number, to: number): ReadonlyArray<RowWindow> => {
  const sliced: Array<RowWindow> = []
  let first = 0
  for (const window of windows) {
    const rows = window.to - window.from
    const begin = Math.max(from - first, 0)
    const end = Math.min(to - first, rows)
    if (begin < end) sliced.push({ ...window, from: window.from + begin, to: window.from + end })
    first += rows
  }
  return sliced
}

/**
 * The messages of one record batch; every one repeats the metadata.
 *
 * A large one is cut by rows, not by bytes: into as many equal pieces as the target fits into it, and the rest is one more.
 */
export function* batchMessages(
  fields: ReadonlyArray<ArrowField>,
  windows: ReadonlyArray<RowWindow>,
  appMetadata: Uint8Array
): Generator<FlightData> {
  const rows = rowsIn(windows)
  const pieces = Math.max(Math.ceil(bodySize(fields, windows) / TARGET_BODY_BYTES), 1)
  const rowsEach = Math.max(Math.floor(rows / pieces), 1)
  let from = 0
  do {
    const part = rowsEach >= rows ? windows : sliceRows(windows, from, from + rowsEach)
    const { body, header } = encodeBatch(fields, part)
    yield { dataHeader: header, dataBody: body, appMetadata }
    from += rowsEach
  } while (from < rows)
}

/** The one row of a count. */
export const countWindow = (rows: number): ReadonlyArray<RowWindow> => {
  const values = new GrowingBytes()
  values.view.setBigInt64(values.reserve(8), BigInt(rows), true)
  return [{ columns: [{ kind: "fixed", width: 8, values, present: undefined }], from: 0, to: 1 }]
}
