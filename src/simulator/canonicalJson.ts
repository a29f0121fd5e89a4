import { printJson } from "../domain/printJson.ts"

/**
 * JSON text with sorted keys and no spaces. Numbers keep their digits: they are never read as doubles.
 *
 * For well-formed JSON such as PostgreSQL prints; throws `SyntaxError` for anything else.
 */
export const canonicalJson = (text: string): string =>
  printJson(text, {
    comma: ",",
    colon: ":",
    members: (pairs) => pairs.toSorted(([a], [b]) => a < b ? -1 : 1),
    word: (token) => token
  })
