/**
 * Copies what a module exported into plain objects, so that it can be sent to another thread.
 *
 * Functions and symbols become empty objects: a manifest needs none, and the validation reports one in place of a text.
 * Getters are evaluated, those of a class as well, and their exceptions are passed on.
 */
import { EvaluationFailure } from "./evaluationFailure.ts"

/** Far beyond any dataset; ends the copy of a config that exports far too much. */
const maxValues = 200_000
const maxDepth = 12

/** Throws `EvaluationFailure` above 200,000 values; cuts off below 12 levels. */
export const plainValue = (value: unknown): unknown => {
  let left = maxValues
  const copy = (value: unknown, depth: number): unknown => {
    left -= 1
    if (left < 0) throw new EvaluationFailure(`exports more than ${maxValues} values`)
    if (typeof value === "function" || typeof value === "symbol") return {}
    if (typeof value !== "object" || value === null) return value
    if (depth === maxDepth) return {}
    if (Array.isArray(value)) return value.map((element) => copy(element, depth + 1))
    return Object.fromEntries(
      keysOf(value).map((key) => [key, copy((value as Record<string, unknown>)[key], depth + 1)])
    )
  }
  return copy(value, 0)
}

const keysOf = (value: object): ReadonlyArray<string> => {
  const keys = new Set(Object.keys(value))
  let prototype: unknown = Object.getPrototypeOf(value)
  while (typeof prototype === "object" && prototype !== null && Object.getPrototypeOf(prototype) !== null) {
    for (const [key, { get }] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
      if (get !== undefined) keys.add(key)
    }
    prototype = Object.getPrototypeOf(prototype)
  }
  return [...keys]
}
