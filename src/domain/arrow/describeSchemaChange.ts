import type { ArrowField, ArrowSchema } from "./ArrowSchema.ts"
import { shapeOf } from "./dictionaryFields.ts"
import { formatArrowType } from "./formatArrowType.ts"
import { sameField } from "./sameField.ts"

/**
 * The first difference between two schemas, in words: `column "a" was Utf8 and is Int64`. Differences that do not affect values
 * come last.
 */
export const describeSchemaChange = (before: ArrowSchema, after: ArrowSchema): string => {
  const pairs = Array.from({ length: Math.max(before.fields.length, after.fields.length) }, (_, index) => index)
    .map((index) => [before.fields[index], after.fields[index]] as const)
  const changed = pairs.find(([was, is]) => was === undefined || !sameField(was, is)) ??
    pairs.find(([was, is]) => shapeOf({ fields: [was!] }) !== shapeOf({ fields: [is!] }))
  return changed === undefined ? "its columns are the same" : describe(...changed)
}

const describe = (was: ArrowField | undefined, is: ArrowField | undefined): string => {
  if (was === undefined) return `column ${formatField(is!)} is new`
  if (is === undefined) return `column ${formatField(was)} is missing`
  if (was.name !== is.name) return `column ${formatField(was)} is now ${formatField(is)}`
  const [before, after] = [formatArrowType(was.type), formatArrowType(is.type)]
  const column = `column ${JSON.stringify(was.name)}`
  if (before !== after) return `${column} was ${before} and is ${after}`
  return was.nullable === is.nullable
    ? `column ${formatField(was)} has another nested type`
    : `column ${formatField(was)} may ${is.nullable ? "be" : "no longer be"} null`
}

const formatField = (field: ArrowField): string => `${JSON.stringify(field.name)} (${formatArrowType(field.type)})`
