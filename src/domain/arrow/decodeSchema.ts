import type * as Result from "effect/Result"
import type { ArrowSchema } from "./ArrowSchema.ts"
import { attempt, type MalformedArrow, reject } from "./MalformedArrow.ts"
import { readMessage } from "./readMessage.ts"
import { readSchema } from "./readSchema.ts"

/**
 * Reads the schema that `FlightInfo.schema` carries.
 *
 * Shape: an encapsulated IPC message: `FF FF FF FF` (absent before Arrow 0.15), int32 length, flatbuffer `Message`.
 * Source: Apache Arrow, docs/source/format/Columnar.rst, "Encapsulated message format".
 */
export const decodeSchema = (encapsulated: Uint8Array): Result.Result<ArrowSchema, MalformedArrow> =>
  attempt(() => {
    if (encapsulated.length === 0) reject("the schema is empty")
    const view = new DataView(encapsulated.buffer, encapsulated.byteOffset, encapsulated.byteLength)
    const prefix = view.getInt32(0, true) === -1 ? 4 : 0
    const length = view.getInt32(prefix, true)
    const start = prefix + 4
    if (length <= 0 || start + length > encapsulated.length) reject("the schema is cut short")
    const message = readMessage(encapsulated.subarray(start, start + length))
    return message.kind === "schema" ? readSchema(message.table) : reject("it begins with a batch, not with a schema")
  })
