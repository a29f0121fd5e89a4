/** The functions that decode events, as columns of a query. They fail with the problem of the call, as text. */
import { Result } from "effect"
import type { ArrowField, ArrowType } from "../../domain/arrow/ArrowSchema.ts"
import { appendValue } from "../appendValue.ts"
import type { BlockSource } from "../BlockSource.ts"
import { appendRow, type Column, newColumn, valueAt } from "../columns.ts"
import type { Argument, EvmFunction } from "../query.ts"
import type { TableColumn } from "../tables.ts"
import { decodeLog, structOf } from "./decodeLog.ts"
import { type EventSignature, InvalidSignature, parseSignature } from "./signature.ts"

type RowsOf = (block: BlockSource) => number

/** An argument whose name is resolved; `literal` is text. */
export type ResolvedArgument = TableColumn | Extract<Argument, { readonly kind: "literal" }>

const HASH: ArrowType = { kind: "fixedSizeBinary", width: 32 }
const BINARY: ArrowType = { kind: "binary", offsets: 32 }
const PARAMETERS: Readonly<Record<EvmFunction, ReadonlyArray<ArrowType | "signature">>> = {
  evm_topic: ["signature"],
  evm_decode_log: [HASH, HASH, HASH, BINARY, "signature"]
}

/** `name` is that of the column. */
export const callColumn = (
  called: EvmFunction,
  name: string,
  args: ReadonlyArray<ResolvedArgument>,
  rowsOf: RowsOf
): Result.Result<TableColumn, string> => {
  const expected = PARAMETERS[called]
  if (args.length !== expected.length) {
    return Result.fail(`'${called}' function expected ${expected.length} arguments but received ${args.length}`)
  }
  const columns: Array<TableColumn> = []
  let text = ""
  for (const [i, parameter] of expected.entries()) {
    const arg = args[i]!
    if ("field" in arg && parameter !== "signature" && isType(arg.field.type, parameter)) columns.push(arg)
    else if (!("field" in arg) && parameter === "signature") text = arg.text
    else {
      const needed = parameter === "signature" ? "a string literal" : `a column of type ${parameter.kind}`
      return Result.fail(`argument ${i + 1} of function '${called}' must be ${needed}`)
    }
  }
  return Result.map(
    signatureOf(text),
    (event) => called === "evm_topic" ? topicColumn(name, event, rowsOf) : eventColumn(name, event, columns, rowsOf)
  )
}

const isType = (type: ArrowType, expected: ArrowType): boolean =>
  type.kind === expected.kind &&
  (type.kind !== "fixedSizeBinary" || (expected.kind === "fixedSizeBinary" && type.width === expected.width))

const signatureOf = (text: string): Result.Result<EventSignature, string> => {
  try {
    return Result.succeed(parseSignature(text))
  } catch (problem) {
    if (problem instanceof InvalidSignature) return Result.fail(problem.message)
    throw problem
  }
}

const topicColumn = (name: string, { topic0 }: EventSignature, rowsOf: RowsOf): TableColumn => ({
  field: { name, type: HASH, nullable: false },
  append: (column, block) => {
    for (let row = 0; row < rowsOf(block); row += 1) appendValue(HASH, column, topic0)
  }
})

const eventColumn = (
  name: string,
  event: EventSignature,
  args: ReadonlyArray<TableColumn>,
  rowsOf: RowsOf
): TableColumn => {
  const field: ArrowField = { name, type: structOf(event), nullable: true }
  return {
    field,
    append: (column, block) => {
      const values = args.map((arg) => materialized(arg, block))
      for (let row = 0; row < rowsOf(block); row += 1) {
        const [topic1, topic2, topic3, data] = values.map((of, i) => valueAt(args[i]!.field.type, of, row))
        const topics = [topic1, topic2, topic3].filter((topic) => topic instanceof Uint8Array)
        appendValue(field.type, column, data instanceof Uint8Array ? decodeLog(event, topics, data) : null)
      }
    }
  }
}

const materialized = ({ append, field }: TableColumn, block: BlockSource): Column => {
  const column = newColumn(field)
  append(column, block)
  return column
}

/** Computes the column of a block once for all of its readers. */
export const computedOnce = (of: TableColumn, rowsOf: RowsOf): TableColumn => {
  let last: { readonly block: BlockSource; readonly column: Column } | undefined
  const { field } = of
  return {
    field,
    append: (column, block) => {
      if (last?.block !== block) last = { block, column: materialized(of, block) }
      for (let row = 0; row < rowsOf(block); row += 1) appendRow(last.column, row, column)
    }
  }
}

/** `struct['name']`: NULL where the struct is. */
export const fieldColumn = (
  name: string,
  of: TableColumn,
  fieldName: string,
  rowsOf: RowsOf
): Result.Result<TableColumn, string> => {
  const { type } = of.field
  const fields = type.kind === "struct" ? type.fields : []
  const index = fields.findIndex((_) => _.name === fieldName)
  if (index < 0) return Result.fail(`Field ${fieldName} not found in '${of.field.name}'`)
  const field: ArrowField = { ...fields[index]!, name, nullable: true }
  return Result.succeed({
    field,
    append: (column, block) => {
      const struct = materialized(of, block)
      if (struct.kind !== "struct") throw new Error("a struct needs a struct column")
      const inner = struct.fields[index]!
      for (let row = 0; row < rowsOf(block); row += 1) appendRow(inner, row, column)
    }
  })
}
