/** A synced table with a column of every type there is, for the tools of others to read. */
import { Effect } from "effect"
import type { ArrowField } from "../../src/domain/arrow/ArrowSchema.ts"
import type { Value } from "../domain/arrow/columns.ts"
import {
  arrayOf,
  dictionaryOf,
  fixedArrayOf,
  jsonListOf,
  type Kind,
  mapOf,
  randomFrom,
  runsOf,
  scalarKinds,
  structOf,
  unionOf
} from "../domain/postgres/randomColumns.ts"
import { prepareTable } from "../support/chunks.ts"
import {
  BINARY,
  BLOCK,
  commitRows,
  field,
  override,
  readyBench,
  requestOf,
  UINT32,
  UTF8
} from "../support/sinkBench.ts"

export const ROWS = 12

const nested: ReadonlyArray<Kind> = [
  ...scalarKinds.map((kind) => arrayOf(32, kind)),
  fixedArrayOf(3, scalarKinds[0]!),
  structOf(scalarKinds.slice(0, 4)),
  mapOf(scalarKinds[5]!),
  jsonListOf(structOf(scalarKinds.slice(0, 2))),
  unionOf("dense", scalarKinds.slice(0, 2)),
  dictionaryOf(16, scalarKinds.at(-1)!),
  runsOf(32, scalarKinds.at(-1)!)
]

/** Names that real queries yield and that need care: reserved words, capitals, spaces. */
const named: ReadonlyArray<ArrowField> = [
  field("to", BINARY),
  field("from", BINARY),
  field("Gas Price", UTF8),
  field("type", UINT32)
]

export const kinds: ReadonlyArray<Kind> = [...scalarKinds, ...nested]

export const everyField: ReadonlyArray<ArrowField> = [
  BLOCK,
  ...named,
  ...kinds.map((kind, index) => field(`c${index}`, kind.type))
]

/** A value without NaN and infinities, which PostgreSQL stores and GraphQL has no words for. */
const tellable = (make: () => Value): Value => {
  const value = make()
  return (Array.isArray(value) ? value : [value]).some((part) => typeof part === "number" && !Number.isFinite(part))
    ? tellable(make)
    : value
}

/**
 * `everything`: all types, the key that every table has, a comment. `owned`: a key of its own and types that the config
 * gives. Both in a schema of their own.
 */
export const everyTable = Effect.gen(function*() {
  const all = yield* readyBench()
  const random = randomFrom(5)
  const rows = Array.from({ length: ROWS }, (_, row): ReadonlyArray<Value> => [
    BigInt(Math.floor(row / 3)),
    ...named.map(() => row % 2 === 0 ? null : 7n).map((value, index) => value === null || index === 3 ? value : "7"),
    ...kinds.map((kind) => kind.type.kind !== "union" && random() < 0.3 ? null : tellable(() => kind.value(random)))
  ])
  const writer = yield* prepareTable(all.sink, requestOf("everything", everyField, { comment: "all there is" }))
  yield* commitRows(writer, everyField, rows)
  const fields = [
    BLOCK,
    field("tx_hash", BINARY, false),
    field("log_index", UINT32, false),
    field("value", UTF8, false)
  ]
  const settings = {
    columns: [override("tx_hash", "text"), override("value", "numeric(78,0)")],
    primaryKey: ["tx_hash", "log_index"]
  }
  const owner = yield* prepareTable(all.sink, requestOf("owned", fields, settings))
  yield* commitRows(owner, fields, [[1n, "\u0001", 0n, (2n ** 256n - 1n).toString()], [1n, "\u0001", 1n, "5"]])
  return all
})
