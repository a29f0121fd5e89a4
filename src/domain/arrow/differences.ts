import type { ArrowSchema } from "./ArrowSchema.ts"
import { formatArrowType } from "./formatArrowType.ts"

/** What the published schema of a table says otherwise than that of the query that fills it, a sentence each. */
export const differences = (published: ArrowSchema, query: ArrowSchema): ReadonlyArray<string> => {
  const types = new Map(published.fields.map((field) => [field.name, formatArrowType(field.type)]))
  return query.fields.flatMap((field) => {
    const type = formatArrowType(field.type)
    const other = types.get(field.name)
    return other === undefined || other === type
      ? []
      : [`the Admin API says column "${field.name}" is ${other}, the query yields ${type}; the query decides`]
  })
}
