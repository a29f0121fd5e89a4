/** The layout of values of a type. Source: Solidity, Contract ABI Specification, "Formal Specification of the Encoding". */
import type { AbiType } from "./signature.ts"

export const WORD_BYTES = 32

/** Whether the value follows the heads, at an offset that the head contains. */
export const isDynamic = (type: AbiType): boolean => {
  if (type.kind === "array") return type.length === undefined || isDynamic(type.item)
  if (type.kind === "tuple") return type.fields.some(isDynamic)
  return type.kind === "bytes" || type.kind === "string"
}

export const headBytes = (type: AbiType): number => {
  if (isDynamic(type)) return WORD_BYTES
  if (type.kind === "array") return type.length! * headBytes(type.item)
  if (type.kind === "tuple") return type.fields.reduce((bytes, field) => bytes + headBytes(field), 0)
  return WORD_BYTES
}
