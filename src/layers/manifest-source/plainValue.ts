/**
 * Copies what a module exported into plain objects, so that it can leave the thread it was made in.
 *
 * Functions and symbols become empty objects: nothing that a manifest needs is one, and a validation that finds one where
 * it wants a text says so. Getters are asked, those of a class as well; what they throw is thrown on.
 */
import { EvaluationFailure } from "./evaluationFailure.ts"

/** Far beyond any dataset; a config that exports half the world ends here. */
const maxValues = 200_000
const maxDepth = 12

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
