/** Writers of columns whose values are stored elsewhere: dictionaries, runs, unions. */
import type { ArrowType } from "../../arrow/ArrowSchema.ts"
import { type Column, viewOf } from "../../arrow/ColumnBatch.ts"
import { readIndex } from "../../arrow/readIndex.ts"
import { boundOfEach, type FieldWriter, type MakeWriter, withNulls } from "./FieldWriter.ts"

/** Adds the form of an absent value to a writer: NULL in COPY, `null` in JSON. */
export type WithNulls = (column: Column, writer: FieldWriter) => FieldWriter

/** Writes the values that dictionary indices stand for. */
export const dictionaryWriter =
  (makeValue: MakeWriter, nulls: WithNulls = withNulls): MakeWriter => (column, options) => {
    const type = column.field.type as Extract<ArrowType, { kind: "dictionary" }>
    const indexOf = readIndex(type.index, column.buffers[0]!)
    const writers = column.dictionary.map((chunk) => makeValue(chunk, options))
    const ends: Array<number> = []
    for (const chunk of column.dictionary) ends.push((ends.at(-1) ?? 0) + chunk.length)
    const chunkOf = (index: number) => ends.length === 1 ? 0 : firstAbove(ends.length, (chunk) => ends[chunk]!, index)
    return nulls(column, {
      bound: boundOfEach(column, (row) => {
        const index = indexOf(row)
        const chunk = chunkOf(index)
        const offset = index - (chunk === 0 ? 0 : ends[chunk - 1]!)
        return writers[chunk]!.bound(offset, offset + 1)
      }),
      write: (out, at, row) => {
        const index = indexOf(row)
        const chunk = chunkOf(index)
        return writers[chunk]!.write(out, at, index - (chunk === 0 ? 0 : ends[chunk - 1]!))
      }
    })
  }

/** Writes the values that runs stand for. */
export const runEndEncodedWriter = (makeValue: MakeWriter): MakeWriter => (column, options) => {
  const runs = column.children[0]!
  const endOf = readIndex(runs.field.type as Extract<ArrowType, { kind: "int" }>, runs.buffers[0]!)
  const value = makeValue(column.children[1]!, options)
  const runOf = (row: number) => firstAbove(runs.length, endOf, row)
  return {
    bound: (from, to) => {
      let bytes = 0
      for (let row = from; row < to;) {
        const run = runOf(row)
        const end = Math.min(endOf(run), to)
        bytes += (end - row) * value.bound(run, run + 1)
        row = end
      }
      return bytes
    },
    write: (out, at, row) => value.write(out, at, runOf(row))
  }
}

/** The first of `count` growing ends that lies above `index`. */
const firstAbove = (count: number, endOf: (position: number) => number, index: number): number => {
  let low = 0
  let high = count - 1
  while (low < high) {
    const middle = (low + high) >> 1
    if (endOf(middle) > index) high = middle
    else low = middle + 1
  }
  return low
}

/** Locates the value of a row of a union: the member, and the row within it. */
export interface UnionValues {
  readonly memberOf: (row: number) => number
  readonly rowOf: (row: number) => number
}

export const unionValues = (column: Column): UnionValues => {
  const type = column.field.type as Extract<ArrowType, { kind: "union" }>
  const ids = column.buffers[0]!
  const members = new Int32Array(128)
  type.typeIds.forEach((id, index) => {
    members[id] = index
  })
  const offsets = type.mode === "dense" ? viewOf(column.buffers[1]!) : undefined
  return {
    memberOf: (row) => members[ids[row]!]!,
    rowOf: offsets === undefined ? (row) => row : (row) => offsets.getInt32(4 * row, true)
  }
}
