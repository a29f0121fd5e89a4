import type { ArrowField, ArrowType } from "./ArrowSchema.ts"

/** The usual short name of a type, such as `Decimal128(38, 0)` or `List<Struct<address: FixedSizeBinary(20)>>`. */
export const formatArrowType = (type: ArrowType): string => {
  switch (type.kind) {
    case "null":
      return "Null"
    case "bool":
      return "Boolean"
    case "int":
      return `${type.signed ? "Int" : "UInt"}${type.bits}`
    case "float":
      return `Float${type.bits}`
    case "decimal":
      return `Decimal${type.bits}(${type.precision}, ${type.scale})`
    case "utf8":
      return `${offsetsPrefix(type.offsets)}Utf8${type.offsets === "view" ? "View" : ""}`
    case "binary":
      return `${offsetsPrefix(type.offsets)}Binary${type.offsets === "view" ? "View" : ""}`
    case "fixedSizeBinary":
      return `FixedSizeBinary(${type.width})`
    case "date":
      return type.unit === "day" ? "Date32" : "Date64"
    case "time":
      return `Time${type.bits}(${type.unit})`
    case "timestamp":
      return type.timezone === undefined ? `Timestamp(${type.unit})` : `Timestamp(${type.unit}, ${type.timezone})`
    case "duration":
      return `Duration(${type.unit})`
    case "interval":
      return `Interval(${type.unit})`
    default:
      return formatNested(type)
  }
}

type Nested = Extract<
  ArrowType,
  { kind: "list" | "fixedSizeList" | "struct" | "map" | "dictionary" | "union" | "runEndEncoded" }
>

const formatNested = (type: Nested): string => {
  switch (type.kind) {
    case "list":
      return `${listNames[type.offsets]}<${formatArrowType(type.item.type)}>`
    case "fixedSizeList":
      return `FixedSizeList<${formatArrowType(type.item.type)}, ${type.size}>`
    case "struct":
      return `Struct<${formatFields(type.fields)}>`
    case "map":
      return `Map<${formatArrowType(type.key.type)}, ${formatArrowType(type.value.type)}>`
    case "dictionary":
      return `Dictionary<${formatArrowType(type.index)}, ${formatArrowType(type.value)}>`
    case "union":
      return `${type.mode === "sparse" ? "SparseUnion" : "DenseUnion"}<${formatFields(type.fields)}>`
    case "runEndEncoded":
      return `RunEndEncoded<${formatArrowType(type.runEnds.type)}, ${formatArrowType(type.values.type)}>`
  }
}

const listNames = { 32: "List", 64: "LargeList", view32: "ListView", view64: "LargeListView" } as const

const offsetsPrefix = (offsets: 32 | 64 | "view"): string => (offsets === 64 ? "Large" : "")

const formatFields = (fields: ReadonlyArray<ArrowField>): string =>
  fields.map((field) => `${field.name}: ${formatArrowType(field.type)}`).join(", ")
