/** `evm_decode_log`: the inputs of an event from the topics and the data of a log. */
import type { ArrowField, ArrowType } from "../../domain/arrow/ArrowSchema.ts"
import type { PlainValue } from "../columns.ts"
import { AbiMismatch, decodeAbi } from "./decodeAbi.ts"
import { type AbiType, type EventInput, type EventSignature, isHashed } from "./signature.ts"

const nullable = (name: string, type: ArrowType): ArrowField => ({ name, type, nullable: true })

/** The Arrow type that the real servers give to values of `type`. */
const arrowTypeOf = (type: AbiType): ArrowType => {
  switch (type.kind) {
    case "int":
      return integerType(type.bits, type.signed)
    case "address":
      return { kind: "fixedSizeBinary", width: 20 }
    case "fixedBytes":
      return { kind: "fixedSizeBinary", width: type.width }
    case "bool":
      return { kind: "bool" }
    case "bytes":
      return { kind: "binary", offsets: 32 }
    case "string":
      return { kind: "utf8", offsets: 32 }
    case "array":
      return { kind: "list", offsets: 32, item: nullable("item", arrowTypeOf(type.item)) }
    case "tuple":
      return { kind: "struct", fields: type.fields.map((field, i) => nullable(`c${i}`, arrowTypeOf(field))) }
  }
}

const integerType = (bits: number, signed: boolean): ArrowType => {
  if (bits <= 64) return { kind: "int", bits: bits <= 8 ? 8 : bits <= 16 ? 16 : bits <= 32 ? 32 : 64, signed }
  if (bits > 248) return { kind: "utf8", offsets: 32 }
  return bits <= 126
    ? { kind: "decimal", bits: 128, precision: 38, scale: 0 }
    : { kind: "decimal", bits: 256, precision: 76, scale: 0 }
}

const hash: AbiType = { kind: "fixedBytes", width: 32 }
const typeOfTopic = ({ type }: EventInput): AbiType => isHashed(type) ? hash : type

/** A field for each input, in the order of the signature. */
export const structOf = ({ inputs }: EventSignature): Extract<ArrowType, { kind: "struct" }> => ({
  kind: "struct",
  fields: inputs.map((input) => nullable(input.name, arrowTypeOf(input.indexed ? typeOfTopic(input) : input.type)))
})

/** The inputs by name; null where the topics (those after the first) or the data are not of this event. */
export const decodeLog = (
  { inputs }: EventSignature,
  topics: ReadonlyArray<Uint8Array>,
  data: Uint8Array
): { readonly [input: string]: PlainValue } | null => {
  const indexed = inputs.filter((input) => input.indexed)
  const others = inputs.filter((input) => !input.indexed)
  if (topics.length !== indexed.length) return null
  try {
    const values = new Map<EventInput, PlainValue>()
    indexed.forEach((input, i) => values.set(input, decodeAbi([typeOfTopic(input)], topics[i]!)[0]!))
    decodeAbi(others.map(({ type }) => type), data).forEach((value, i) => values.set(others[i]!, value))
    return Object.fromEntries(inputs.map((input) => [input.name, values.get(input)!]))
  } catch (problem) {
    if (problem instanceof AbiMismatch) return null
    throw problem
  }
}
