import type { ArrowField, ArrowType } from "./ArrowSchema.ts"

/**
 * Whether values of `b` can be read as values of `a`: same name, same layout, same meaning.
 *
 * Parameters that do not affect values are ignored: nullability, the id of the dictionary, the zone of an instant.
 */
export const sameField = (a: ArrowField, b: ArrowField | undefined): boolean =>
  b !== undefined && a.name === b.name && sameType(a.type, b.type)

const sameType = (a: ArrowType, b: ArrowType): boolean => {
  if (a.kind === "timestamp" && b.kind === "timestamp") {
    return a.unit === b.unit && (a.timezone === undefined) === (b.timezone === undefined)
  }
  return Object.entries(a).every(([key, value]) => key === "id" || samePart(value, (b as Record<string, unknown>)[key]))
}

/** A parameter of a type: plain, or a field, a type, or a list of them. */
const samePart = (a: unknown, b: unknown): boolean => {
  if (typeof a !== "object" || a === null || typeof b !== "object" || b === null) return a === b
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((part, index) => samePart(part, b[index]))
  }
  return "nullable" in a ? sameField(a as ArrowField, b as ArrowField) : sameType(a as ArrowType, b as ArrowType)
}
