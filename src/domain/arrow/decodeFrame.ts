import type * as Result from "effect/Result"
import type { FlightData } from "../flight/FlightData.ts"
import type { ArrowField, ArrowSchema } from "./ArrowSchema.ts"
import type { ColumnBatch } from "./ColumnBatch.ts"
import { describeSchemaChange } from "./describeSchemaChange.ts"
import { dictionaryFields, shapeOf } from "./dictionaryFields.ts"
import { attempt, type MalformedArrow, refuse } from "./MalformedArrow.ts"
import { type Dictionaries, readColumns } from "./readColumns.ts"
import { type Message, readMessage } from "./readMessage.ts"
import { readSchema } from "./readSchema.ts"

/** What a stream has said so far: its schema, once it is known, and its dictionaries. */
export interface DecoderState {
  readonly schema: ArrowSchema | undefined
  readonly dictionaryFields: ReadonlyMap<bigint, ArrowField>
  readonly dictionaries: Dictionaries
}

/** A stream that has not said anything yet. */
export const noSchema: DecoderState = { schema: undefined, dictionaryFields: new Map(), dictionaries: new Map() }

export interface Decoded {
  readonly state: DecoderState
  /** The rows of a record batch; undefined for a schema, a dictionary, and a message of metadata alone. */
  readonly batch: ColumnBatch | undefined
}

/** Takes one message of a DoGet stream. Nothing of the body is copied, everything in it is checked once. */
export const decodeFrame = (state: DecoderState, frame: FlightData): Result.Result<Decoded, MalformedArrow> =>
  attempt(() => {
    if (frame.dataHeader.length === 0 && frame.dataBody.length === 0) return { state, batch: undefined }
    const message = readMessage(frame.dataHeader)
    if (message.kind === "schema") return { state: learnSchema(state, readSchema(message.table)), batch: undefined }
    const schema = state.schema ?? refuse("a batch arrived before the schema")
    if (frame.dataBody.length < message.bodyLength) refuse("the body of a message is cut short")
    const context = { body: frame.dataBody.subarray(0, message.bodyLength), dictionaries: state.dictionaries }
    return message.kind === "recordBatch"
      ? { state, batch: { schema, ...readColumns(schema.fields, message.table, context) } }
      : { state: learnDictionary(state, message, context), batch: undefined }
  })

const learnSchema = (state: DecoderState, schema: ArrowSchema): DecoderState => {
  if (state.schema === undefined) return { ...state, schema, dictionaryFields: dictionaryFields(schema) }
  if (shapeOf(state.schema) === shapeOf(schema)) return state
  return refuse(`the schema changed in the middle of the stream: ${describeSchemaChange(state.schema, schema)}`)
}

/** A dictionary replaces the one of the same id, or, as a delta, continues it. Batches that came before keep the old one. */
const learnDictionary = (
  state: DecoderState,
  message: Message,
  context: Parameters<typeof readColumns>[2]
): DecoderState => {
  const id = message.table.bigint64(0)
  const field = state.dictionaryFields.get(id) ?? refuse(`a dictionary (${id}) arrived that no column uses`)
  const data = message.table.table(1) ?? refuse("a dictionary has no values")
  const known = message.table.bool(2) ? state.dictionaries.get(id) ?? [] : []
  const values = readColumns([field], data, context).columns
  return { ...state, dictionaries: new Map(state.dictionaries).set(id, [...known, ...values]) }
}
