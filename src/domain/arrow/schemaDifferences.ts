import type { ArrowSchema } from "./ArrowSchema.ts"
import { formatArrowType } from "./formatArrowType.ts"

/** The columns whose type in the published schema of a table differs from that of its query, a sentence each. */
export const schemaDifferences = (published: ArrowSchema, query: ArrowSchema): ReadonlyArray<string> => {
  const types = new Map(published.fields.map((field) => [field.name, formatArrowType(field.type)]))
  return query.fields.flatMap((field) => {
    const type = formatArrowType(field.type)
    const other = types.get(field.name)
    return other === undefined || other === type
      ? []
      : [`the Admin API declares column "${field.name}" as ${other}, the query yields ${type}; the query decides`]
  })
}
