/** Finds a secret in a text, in whichever encoding. */

/** Each with its name: how a secret may be written without being changed. */
export const encodingsOf = (secret: string): ReadonlyMap<string, string> => {
  const bytes = Buffer.from(secret)
  const percent = encodeURIComponent(secret)
  /** Base64 of a part of a longer text: without the characters that depend on what is around. */
  const aligned = (offset: number) => {
    const text = Buffer.concat([Buffer.alloc(offset), bytes]).toString("base64").replace(/=+$/, "")
    return text.slice(Math.ceil(offset * 4 / 3), text.length - 1)
  }
  const all = {
    raw: secret,
    "percent-encoded": percent,
    "percent-encoded in lower case": percent.replaceAll(/%[0-9A-F]{2}/g, (code) => code.toLowerCase()),
    "of a form": new URLSearchParams({ x: secret }).toString().slice(2),
    "percent-encoded in part": encodeURI(secret),
    "as user information": percent.replaceAll(/%(?:2B|24|26|2C|3B|3D)/g, decodeURIComponent),
    json: JSON.stringify(secret).slice(1, -1),
    "json in json": JSON.stringify(JSON.stringify(secret).slice(1, -1)).slice(1, -1),
    "json in ASCII": JSON.stringify(secret).slice(1, -1).replaceAll(
      /[^ -~]/g,
      (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`
    ),
    hex: bytes.toString("hex"),
    "hex of a buffer": bytes.toString("hex").replaceAll(/(..)(?=.)/g, "$1 "),
    "html": secret.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll("\"", "&quot;"),
    ...Object.fromEntries([0, 1, 2].flatMap((offset) => [
      [`base64 at ${offset}`, aligned(offset)],
      [`base64url at ${offset}`, aligned(offset).replaceAll("+", "-").replaceAll("/", "_")]
    ]))
  }
  return new Map(Object.entries(all))
}

/** The encodings in which `text` has a secret; `words` are parts of it that appear nowhere else, in any case. */
export const leaks = (text: string, secret: string, words: ReadonlyArray<string> = []): ReadonlyArray<string> => {
  const lower = text.toLowerCase()
  const isHex = (name: string) => name.startsWith("hex")
  return [
    ...[...encodingsOf(secret)].filter(([name, encoded]) => (isHex(name) ? lower : text).includes(encoded)).map((
      [name]
    ) => name),
    ...words.filter((word) => lower.includes(word.toLowerCase())).map((word) => `the part ${word}`)
  ]
}
