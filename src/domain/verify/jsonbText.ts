import { printJson } from "../printJson.ts"

/**
 * JSON text as PostgreSQL prints it once it was stored as `jsonb`.
 *
 * Keys are sorted by length and then by bytes, the last of equal ones stays, and numbers have all their digits. For well-formed
 * JSON as the encoders write it; throws `SyntaxError` for anything else. Source: PostgreSQL, utils/adt/jsonb.c,
 * `JsonbToCString`; jsonb_util.c, `lengthCompareJsonbString`; numeric.c, `set_var_from_str`.
 */
export const jsonbText = (text: string): string =>
  printJson(text, {
    comma: ", ",
    colon: ": ",
    members: sortedKeys,
    word: (token) => /^[-\d]/.test(token) ? numberText(token) : token
  })

const sortedKeys = (pairs: ReadonlyArray<readonly [key: string, value: string]>) =>
  [...new Map(pairs)]
    .map(([key, value]) => [key, value, utf8.encode(key)] as const)
    .toSorted(([, , a], [, , b]) => a.length - b.length || compareBytes(a, b))
    .map(([key, value]) => [key, value] as const)

const utf8 = new TextEncoder()

const compareBytes = (a: Uint8Array, b: Uint8Array): number => {
  const at = a.findIndex((byte, index) => byte !== b[index])
  return at < 0 ? 0 : a[at]! - b[at]!
}

/** `1.5e-7` has the digits `0.00000015`, `1e3` is `1000`, and zero has no sign. */
const numberText = (token: string): string => {
  const [all, sign, whole = "", fraction = "", exponent = "0"] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(token) ?? []
  if (all === undefined) throw new SyntaxError("the JSON text has an unknown word")
  const shift = Number(exponent)
  const scale = Math.max(0, fraction.length - shift)
  const digits = (whole + fraction).padEnd(whole.length + shift, "0")
  const point = whole.length + shift
  const before = point > 0 ? digits.slice(0, point) : ""
  const after = point > 0 ? digits.slice(point) : "0".repeat(-point) + digits
  const integer = before.replace(/^0+(?=\d)/, "") || "0"
  const printed = scale === 0 ? integer : `${integer}.${after}`
  return /[1-9]/.test(digits) ? `${sign}${printed}` : printed
}
