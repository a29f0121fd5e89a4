/**
 * Reads ABI-encoded values.
 *
 * Integers: numbers up to 32 bits, text above 248 bits, bigints between. Tuples: `{ c0, c1, ... }`.
 * Source: Solidity, Contract ABI Specification.
 */
import type { PlainValue } from "../columns.ts"
import { headBytes, isDynamic, WORD_BYTES } from "./layout.ts"
import type { AbiType } from "./signature.ts"

/** The bytes are not those of the type. */
export class AbiMismatch extends Error {}

const mismatch = (type: AbiType): never => {
  throw new AbiMismatch(`the bytes do not contain a value of type ${type.kind}`)
}

const TEXT = new TextDecoder("utf-8", { ignoreBOM: true })

/** Decodes consecutive values from `base` on. Throws `AbiMismatch`. */
export const decodeAbi = (types: ReadonlyArray<AbiType>, data: Uint8Array, base = 0): ReadonlyArray<PlainValue> => {
  let head = base
  return types.map((type) => {
    const at = isDynamic(type) ? base + lengthAt(type, data, head) : head
    head += headBytes(type)
    return valueAt(type, data, at)
  })
}

/** The integer of one word, unsigned. */
const wordAt = (type: AbiType, data: Uint8Array, at: number): bigint => {
  if (at + WORD_BYTES > data.length) return mismatch(type)
  const view = new DataView(data.buffer, data.byteOffset + at, WORD_BYTES)
  return [0, 8, 16, 24].reduce((word, offset) => (word << 64n) | view.getBigUint64(offset), 0n)
}

/** A length or an offset; one that is larger than the data is a mismatch. */
const lengthAt = (type: AbiType, data: Uint8Array, at: number): number => {
  const length = wordAt(type, data, at)
  return length > BigInt(data.length) ? mismatch(type) : Number(length)
}

const valueAt = (type: AbiType, data: Uint8Array, at: number): PlainValue => {
  if (type.kind === "array") {
    const items = type.length ?? lengthAt(type, data, at)
    const base = type.length === undefined ? at + WORD_BYTES : at
    if (base + items * headBytes(type.item) > data.length) return mismatch(type)
    return decodeAbi(Array.from({ length: items }, () => type.item), data, base)
  }
  if (type.kind === "tuple") {
    return Object.fromEntries(decodeAbi(type.fields, data, at).map((value, i) => [`c${i}`, value]))
  }
  if (type.kind === "bytes" || type.kind === "string") {
    const [start, length] = [at + WORD_BYTES, lengthAt(type, data, at)]
    if (start + length > data.length) return mismatch(type)
    const bytes = data.slice(start, start + length)
    return type.kind === "string" ? TEXT.decode(bytes) : bytes
  }
  return staticValue(type, data, at)
}

/** Bytes and bits of a word that its type leaves unused are zero, or repeat the sign. */
const staticValue = (type: AbiType, data: Uint8Array, at: number): PlainValue => {
  const word = wordAt(type, data, at)
  if (type.kind === "int") {
    const value = type.signed ? BigInt.asIntN(256, word) : word
    if (value !== (type.signed ? BigInt.asIntN(type.bits, value) : BigInt.asUintN(type.bits, value))) {
      return mismatch(type)
    }
    return type.bits > 248 ? value.toString() : type.bits <= 32 ? Number(value) : value
  }
  if (type.kind === "bool") return word > 1n ? mismatch(type) : word === 1n
  if (type.kind === "address") return word >> 160n === 0n ? data.slice(at + 12, at + WORD_BYTES) : mismatch(type)
  if (type.kind !== "fixedBytes") return mismatch(type)
  const rest = BigInt(8 * (WORD_BYTES - type.width))
  return BigInt.asUintN(Number(rest), word) === 0n ? data.slice(at, at + type.width) : mismatch(type)
}
