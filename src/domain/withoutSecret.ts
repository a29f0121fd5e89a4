/** Invariant I7 for texts of others: a server may repeat what it was sent. */

const REDACTED = "<redacted>"

/** `text` without `secret`, in whichever of the usual encodings it is there: also percent-encoded in part, or JSON in JSON. */
export const withoutSecret = (text: string, secret: string | undefined): string =>
  secret === undefined || secret === "" ? text : text.replaceAll(patternOf(secret), REDACTED)

const patternOf = (secret: string): RegExp => {
  const bytes = new TextEncoder().encode(secret)
  const encoded = [
    [...secret].map(characterPattern).join(""),
    inAnyCase([...bytes].map(hexOf).join("")),
    ...[0, 1, 2].flatMap((offset) => base64Patterns(bytes, offset))
  ]
  return new RegExp(encoded.join("|"), "gu")
}

/** Base64 of a part of a text, `offset` bytes behind a multiple of three: its ends depend on what is around. */
const base64Patterns = (bytes: Uint8Array, offset: number): ReadonlyArray<string> => {
  const text = btoa(String.fromCharCode(...new Uint8Array(offset), ...bytes)).replace(/=+$/, "")
  const core = text.slice(Math.ceil(offset * 4 / 3), -1)
  return [core, core.replaceAll("+", "-").replaceAll("/", "_")].map((alphabet) => `${escaped(alphabet)}[\\w+/\\-]?=*`)
}

/** A character as it is, behind backslashes where JSON has some, or percent-encoded. */
const characterPattern = (character: string): string => {
  const percent = [...new TextEncoder().encode(character)].map((byte) => `%${inAnyCase(hexOf(byte))}`).join("")
  const plain = character === "\"" || character === "\\" ? `\\\\*${escaped(character)}` : escaped(character)
  return `(?:${plain}|${percent})`
}

const hexOf = (byte: number): string => byte.toString(16).padStart(2, "0")

const inAnyCase = (hex: string): string => hex.replaceAll(/[a-f]/g, (digit) => `[${digit}${digit.toUpperCase()}]`)

const escaped = (text: string): string => text.replaceAll(/[\\^$.*+?()[\]{}|/]/g, "\\$&")
