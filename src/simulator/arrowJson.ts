import type { ArrowField, ArrowType } from "../domain/arrow/ArrowSchema.ts"

/**
 * Arrow types in the JSON of the Admin API.
 *
 * Source: serde of `arrow_schema::DataType` in arrow-rs; a nested field has `data_type` where a column has `type`.
 */

const nested = (field: ArrowField): unknown => ({
  name: field.name,
  data_type: arrowTypeJson(field.type),
  nullable: field.nullable,
  dict_id: 0,
  dict_is_ordered: false,
  metadata: {}
})

const capitalised = (text: string): string => text[0]!.toUpperCase() + text.slice(1)

const arrowTypeJson = (type: ArrowType): unknown => {
  switch (type.kind) {
    case "int":
      return `${type.signed ? "Int" : "UInt"}${type.bits}`
    case "bool":
      return "Boolean"
    case "utf8":
      return "Utf8"
    case "binary":
      return "Binary"
    case "fixedSizeBinary":
      return { FixedSizeBinary: type.width }
    case "decimal":
      return { [`Decimal${type.bits}`]: [type.precision, type.scale] }
    case "timestamp":
      return { Timestamp: [capitalised(type.unit), type.timezone ?? null] }
    case "list":
      return { List: nested(type.item) }
    case "struct":
      return { Struct: type.fields.map(nested) }
    default:
      throw new Error(`the simulator has no column of type ${type.kind}`)
  }
}

/** `{"arrow":{"fields":[...]}}`, the schema of a table. */
export const arrowSchemaJson = (fields: ReadonlyArray<ArrowField>): unknown => ({
  arrow: {
    fields: fields.map((field) => ({ name: field.name, type: arrowTypeJson(field.type), nullable: field.nullable }))
  }
})
