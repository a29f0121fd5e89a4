import * as Result from "effect/Result"
import type { ArrowField, ArrowType } from "../../arrow/ArrowSchema.ts"
import { formatArrowType } from "../../arrow/formatArrowType.ts"
import { type MakeWriter, withNulls } from "./FieldWriter.ts"
import { dictionaryWriter, runEndEncodedWriter } from "./indirectValues.ts"
import { isScalarKey, jsonListWriter, jsonMapWriter, jsonStructWriter, jsonUnionWriter } from "./jsonNested.ts"
import {
  jsonBinaryWriter,
  jsonBooleanWriter,
  jsonDateWriter,
  jsonDecimalWriter,
  jsonDurationWriter,
  jsonFloatWriter,
  jsonIntegerWriter,
  jsonIntervalWriter,
  jsonNullWriter,
  jsonTextWriter,
  jsonTimestampWriter,
  jsonTimeWriter
} from "./jsonScalar.ts"
import { withJsonNulls } from "./jsonText.ts"

/**
 * Writes values as `jsonb`.
 *
 * Shape: int32 length, one byte version 1, JSON text. Fails (with the reason): a type inside that JSON cannot represent.
 * Source: PostgreSQL, utils/adt/jsonb.c, `jsonb_recv`.
 */
export const jsonbWriter = (type: ArrowType): Result.Result<MakeWriter, string> =>
  Result.map(jsonWriter(type), (makeJson): MakeWriter => (column, options) => {
    const json = makeJson(column, options)
    // A nested null is JSON's null, that of the column itself is SQL's.
    return withNulls(column, {
      bound: (from, to) => 5 * (to - from) + json.bound(from, to),
      write: (out, at, row) => {
        const end = json.write(out, at + 5, row)
        out.view.setInt32(at, end - at - 4)
        out.view.setUint8(at + 4, 1)
        return end
      }
    })
  })

/** Arrow type -> writer of its JSON form. */
const jsonWriter = (type: ArrowType): Result.Result<MakeWriter, string> => {
  switch (type.kind) {
    case "null":
      return Result.succeed(jsonNullWriter)
    case "bool":
      return Result.succeed(jsonBooleanWriter)
    case "int":
      return Result.succeed(jsonIntegerWriter(type))
    case "float":
      return Result.succeed(jsonFloatWriter(type.bits))
    case "decimal":
      return Result.succeed(jsonDecimalWriter(type))
    case "utf8":
      return Result.succeed(jsonTextWriter)
    case "binary":
    case "fixedSizeBinary":
      return Result.succeed(jsonBinaryWriter)
    case "date":
      return Result.succeed(jsonDateWriter(type.unit))
    case "time":
      return Result.succeed(jsonTimeWriter(type.bits, type.unit))
    case "timestamp":
      return Result.succeed(jsonTimestampWriter(type))
    case "duration":
      return Result.succeed(jsonDurationWriter(type.unit))
    case "interval":
      return Result.succeed(jsonIntervalWriter(type.unit))
    case "list":
    case "fixedSizeList":
      return Result.map(jsonWriter(type.item.type), jsonListWriter)
    case "struct":
      return jsonMembers(type.fields, jsonStructWriter)
    case "union":
      return jsonMembers(type.fields, jsonUnionWriter)
    case "map":
      return jsonMap(type)
    case "dictionary":
      return Result.map(jsonWriter(type.value), (makeValue) => dictionaryWriter(makeValue, withJsonNulls))
    case "runEndEncoded":
      return Result.map(jsonWriter(type.values.type), runEndEncodedWriter)
  }
}

type MakeMembers = (fields: ReadonlyArray<ArrowField>, makeMembers: ReadonlyArray<MakeWriter>) => MakeWriter

const jsonMembers = (fields: ReadonlyArray<ArrowField>, make: MakeMembers): Result.Result<MakeWriter, string> => {
  const names = fields.map((field) => field.name)
  const twice = names.find((name, index) => names.indexOf(name) < index)
  if (twice !== undefined) return Result.fail(`two of its fields are called ${JSON.stringify(twice)}`)
  const unusable = names.find((name) => name.includes("\u0000"))
  if (unusable !== undefined) return Result.fail(`the name of one of its fields contains a NUL character`)
  return Result.map(
    Result.all(fields.map((field) => jsonWriter(field.type))),
    (makeMembers) => make(fields, makeMembers)
  )
}

const jsonMap = (type: Extract<ArrowType, { kind: "map" }>): Result.Result<MakeWriter, string> => {
  if (!isScalarKey(type.key.type)) {
    return Result.fail(`a key of ${formatArrowType(type.key.type)} cannot be the key of a JSON object`)
  }
  return Result.map(
    Result.all([jsonWriter(type.key.type), jsonWriter(type.value.type)]),
    ([makeKey, makeValue]) => jsonMapWriter(makeKey, makeValue)
  )
}
