import type { AbiType } from "./signature.ts"

/** Where the values of a type stand. Source: Solidity, Contract ABI Specification, "Formal Specification of the Encoding". */

export const WORD_BYTES = 32

/** The value stands behind the heads, at an offset that the head contains. */
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
