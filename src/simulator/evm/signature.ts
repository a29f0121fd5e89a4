/** Event signatures in the form of Solidity: `Transfer(address indexed from, address indexed to, uint256 value)`. */
import { keccak256 } from "./keccak.ts"

export type AbiType =
  | { readonly kind: "int"; readonly bits: number; readonly signed: boolean }
  | { readonly kind: "address" | "bool" | "bytes" | "string" }
  | { readonly kind: "fixedBytes"; readonly width: number }
  /** `length` is that of `T[3]`, absent for `T[]`. */
  | { readonly kind: "array"; readonly item: AbiType; readonly length: number | undefined }
  | { readonly kind: "tuple"; readonly fields: ReadonlyArray<AbiType> }

export interface EventInput {
  readonly name: string
  readonly type: AbiType
  readonly indexed: boolean
}

export interface EventSignature {
  readonly name: string
  readonly inputs: ReadonlyArray<EventInput>
  /** Keccak-256 of the name and the types alone. */
  readonly topic0: Uint8Array
}

/** Why a text is no event signature. */
export class InvalidSignature extends Error {}

const WORD = /\s*(?:(?<word>[A-Za-z_$][A-Za-z0-9_$]*)|(?<size>\[\d*\])|(?<symbol>[(),]))/y

/** Throws `InvalidSignature`. */
export const parseSignature = (text: string): EventSignature => new SignatureParser(text).event()

class SignatureParser {
  private readonly words: Array<string> = []
  private readonly text: string
  private at = 0

  constructor(text: string) {
    this.text = text
    const trimmed = text.trimEnd()
    WORD.lastIndex = 0
    while (WORD.lastIndex < trimmed.length) {
      const match = WORD.exec(trimmed)
      if (match === null) throw this.invalid()
      this.words.push(match[0].trim())
    }
  }

  event(): EventSignature {
    if (this.words[0] === "event") this.at += 1
    const name = this.word()
    if (name === undefined) throw this.invalid()
    const inputs = this.inputs()
    if (this.at < this.words.length) throw this.invalid()
    const names = inputs.map((input) => input.name)
    if (new Set(names).size < names.length || inputs.filter(({ indexed }) => indexed).length > 3) throw this.invalid()
    const canonical = `${name}(${inputs.map(({ type }) => canonicalType(type)).join(",")})`
    return { name, inputs, topic0: keccak256(Buffer.from(canonical)) }
  }

  private inputs(): ReadonlyArray<EventInput> {
    const inputs: Array<EventInput> = []
    if (!this.symbol("(")) throw this.invalid()
    if (this.symbol(")")) return inputs
    do {
      const type = this.type()
      const indexed = this.symbol("indexed")
      inputs.push({ type, indexed, name: this.word() ?? `param${inputs.length}` })
    } while (this.symbol(","))
    if (!this.symbol(")")) throw this.invalid()
    return inputs
  }

  private type(): AbiType {
    if (this.words[this.at] === "tuple" && this.words[this.at + 1] === "(") this.at += 1
    let type: AbiType | undefined = this.words[this.at] === "("
      ? { kind: "tuple", fields: this.inputs().map((input) => input.type) }
      : scalarType(this.word() ?? "")
    if (type === undefined || (type.kind === "tuple" && type.fields.length === 0)) throw this.invalid()
    for (let size = this.words[this.at]; size?.startsWith("["); size = this.words[this.at]) {
      if (Number(size.slice(1, -1)) === 0 && size !== "[]") throw this.invalid()
      type = { kind: "array", item: type, length: size === "[]" ? undefined : Number(size.slice(1, -1)) }
      this.at += 1
    }
    return type
  }

  private word(): string | undefined {
    const word = this.words[this.at]
    if (word === undefined || /^[[(),]/.test(word)) return undefined
    this.at += 1
    return word
  }

  private symbol(text: string): boolean {
    if (this.words[this.at] !== text) return false
    this.at += 1
    return true
  }

  private invalid(): InvalidSignature {
    return new InvalidSignature(`'${this.text}' is not an event signature`)
  }
}

const scalarType = (name: string): AbiType | undefined => {
  const [, family, digits] = /^(u?int|bytes|address|bool|string)(\d*)$/.exec(name) ?? []
  if (family === undefined || digits === undefined || digits.startsWith("0")) return undefined
  if (family === "int" || family === "uint") {
    const bits = digits === "" ? 256 : Number(digits)
    return bits <= 256 && bits % 8 === 0 ? { kind: "int", bits, signed: family === "int" } : undefined
  }
  if (family === "bytes" && digits !== "") {
    return Number(digits) <= 32 ? { kind: "fixedBytes", width: Number(digits) } : undefined
  }
  return digits === "" ? { kind: family as "address" | "bool" | "bytes" | "string" } : undefined
}

const canonicalType = (type: AbiType): string => {
  if (type.kind === "int") return `${type.signed ? "" : "u"}int${type.bits}`
  if (type.kind === "fixedBytes") return `bytes${type.width}`
  if (type.kind === "array") return `${canonicalType(type.item)}[${type.length ?? ""}]`
  if (type.kind === "tuple") return `(${type.fields.map(canonicalType).join(",")})`
  return type.kind
}

/** An indexed value of such a type is represented by its hash. */
export const isHashed = ({ kind }: AbiType): boolean => ["bytes", "string", "array", "tuple"].includes(kind)
