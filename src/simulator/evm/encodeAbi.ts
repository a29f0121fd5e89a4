/** Encodes values by the contract ABI. */
import { headBytes, isDynamic, WORD_BYTES } from "./layout.ts"
import type { AbiType } from "./signature.ts"

/** A value to encode: integers are bigints, tuples and arrays are arrays. */
export type AbiValue = bigint | boolean | string | Uint8Array | ReadonlyArray<AbiValue>

/** Values one after the other, as the data of a log has them. Source: Solidity, Contract ABI Specification. */
export const encodeAbi = (types: ReadonlyArray<AbiType>, values: ReadonlyArray<AbiValue>): Uint8Array => {
  const heads: Array<Uint8Array> = []
  const tails: Array<Uint8Array> = []
  let end = types.reduce((bytes, type) => bytes + headBytes(type), 0)
  types.forEach((type, i) => {
    const encoded = encodeValue(type, values[i]!)
    if (!isDynamic(type)) return void heads.push(encoded)
    heads.push(wordOf(BigInt(end)))
    tails.push(encoded)
    end += encoded.length
  })
  return Buffer.concat([...heads, ...tails])
}

const wordOf = (value: bigint): Uint8Array => {
  const view = new DataView(new ArrayBuffer(WORD_BYTES))
  for (let at = 24, rest = value; at >= 0; at -= 8, rest >>= 64n) view.setBigUint64(at, BigInt.asUintN(64, rest))
  return new Uint8Array(view.buffer)
}

const encodeValue = (type: AbiType, value: AbiValue): Uint8Array => {
  if (type.kind === "int" && typeof value === "bigint") return wordOf(value)
  if (type.kind === "bool" && typeof value === "boolean") return wordOf(value ? 1n : 0n)
  if (type.kind === "string" && typeof value === "string") return withLength(Buffer.from(value))
  if (value instanceof Uint8Array) {
    if (type.kind === "bytes") return withLength(value)
    const word = new Uint8Array(WORD_BYTES)
    word.set(value, type.kind === "address" ? WORD_BYTES - value.length : 0)
    return word
  }
  if (type.kind === "tuple" && Array.isArray(value)) return encodeAbi(type.fields, value)
  if (type.kind !== "array" || !Array.isArray(value)) throw new Error(`a value is not of type ${type.kind}`)
  const items = encodeAbi(value.map(() => type.item), value)
  return type.length === undefined ? Buffer.concat([wordOf(BigInt(value.length)), items]) : items
}

/** The length, and the bytes up to a whole number of words. */
const withLength = (bytes: Uint8Array): Uint8Array => {
  const encoded = new Uint8Array(WORD_BYTES * (1 + Math.ceil(bytes.length / WORD_BYTES)))
  encoded.set(wordOf(BigInt(bytes.length)))
  encoded.set(bytes, WORD_BYTES)
  return encoded
}
