/**
 * Returns the offset at which a text stops being JSON, or -1 where it is JSON.
 *
 * The messages of `JSON.parse` do not always contain the place, and some quote the text, secrets included.
 * Source: RFC 8259.
 */
export const jsonErrorOffset = (text: string): number => {
  let at = 0
  const eat = (pattern: RegExp): boolean => {
    pattern.lastIndex = at
    if (!pattern.test(text)) return false
    at = pattern.lastIndex
    return true
  }
  const list = (close: RegExp, item: () => boolean): boolean => {
    eat(blank)
    if (eat(close)) return true
    for (;;) {
      if (!item()) return false
      if (eat(close)) return true
      if (!eat(comma)) return false
      eat(blank)
    }
  }
  const member = (): boolean => eat(string) && eat(blank) && eat(colon) && value()
  const value = (): boolean => {
    eat(blank)
    const done = eat(openObject)
      ? list(closeObject, member)
      : eat(openArray)
      ? list(closeArray, value)
      : eat(string) || eat(scalar)
    return done && eat(blank)
  }
  return value() && at === text.length ? -1 : at
}

/** The line of an offset, counted from 1. */
export const lineOf = (text: string, offset: number): number => text.slice(0, offset).split("\n").length

const blank = /[ \t\n\r]*/y
const comma = /,/y
const colon = /:/y
const openObject = /\{/y
const closeObject = /\}/y
const openArray = /\[/y
const closeArray = /\]/y
// JSON forbids control characters in strings.
// oxlint-disable-next-line no-control-regex
const string = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y
const scalar = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y
