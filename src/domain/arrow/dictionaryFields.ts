/** Finds the dictionaries of a schema, and compares schemas as text. */
import type { ArrowField, ArrowSchema, ArrowType } from "./ArrowSchema.ts"
import { reject } from "./MalformedArrow.ts"

/**
 * The values of every dictionary of a schema, by dictionary id, as columns of their own.
 *
 * They may be null even where their column is not nullable. Rejects two columns that share an id but not a type.
 */
export const dictionaryFields = (schema: ArrowSchema): ReadonlyMap<bigint, ArrowField> => {
  const found = new Map<bigint, ArrowField>()
  const visit = (name: string, type: ArrowType): void => {
    if (type.kind !== "dictionary") return childFields(type).forEach((field) => visit(field.name, field.type))
    const known = found.get(type.id)
    if (known !== undefined && shapeOf(known.type) !== shapeOf(type.value)) {
      reject(`two columns share the dictionary ${type.id} but not its type`)
    }
    if (known === undefined) found.set(type.id, { name, type: type.value, nullable: true })
    visit(name, type.value)
  }
  schema.fields.forEach((field) => visit(field.name, field.type))
  return found
}

/** A text that is equal for equal types and schemas, and only for those. */
export const shapeOf = (value: ArrowType | ArrowSchema): string =>
  JSON.stringify(value, (_, part: unknown) => typeof part === "bigint" ? `${part}n` : part)

const childFields = (type: ArrowType): ReadonlyArray<ArrowField> => {
  switch (type.kind) {
    case "list":
    case "fixedSizeList":
      return [type.item]
    case "struct":
    case "union":
      return type.fields
    case "map":
      return [type.key, type.value]
    case "runEndEncoded":
      return [type.runEnds, type.values]
    default:
      return []
  }
}
