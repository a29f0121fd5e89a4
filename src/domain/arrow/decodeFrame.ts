/** Decodes the Arrow IPC messages of one DoGet stream: schema, dictionaries, record batches. */
import type * as Result from "effect/Result"
import type { FlightData } from "../flight/FlightData.ts"
import type { ArrowField, ArrowSchema } from "./ArrowSchema.ts"
import type { ColumnBatch } from "./ColumnBatch.ts"
import { describeSchemaChange } from "./describeSchemaChange.ts"
import { dictionaryFields, shapeOf } from "./dictionaryFields.ts"
import { attempt, type MalformedArrow, reject } from "./MalformedArrow.ts"
import { type Dictionaries, readColumns } from "./readColumns.ts"
import { type Message, readMessage } from "./readMessage.ts"
import { readSchema } from "./readSchema.ts"

/** The schema of a stream, once it came, and its dictionaries so far. */
export interface DecoderState {
  readonly schema: ArrowSchema | undefined
  readonly dictionaryFields: ReadonlyMap<bigint, ArrowField>
  readonly dictionaries: Dictionaries
}

/** The state before the first message. */
export const noSchema: DecoderState = { schema: undefined, dictionaryFields: new Map(), dictionaries: new Map() }

/** The result of one message. */
export interface Decoded {
  readonly state: DecoderState
  /** The rows of a record batch; undefined for a schema, a dictionary, and a message of metadata alone. */
  readonly batch: ColumnBatch | undefined
}

/** Decodes one message of a DoGet stream. Nothing of the body is copied, everything in it is checked once. */
export const decodeFrame = (state: DecoderState, frame: FlightData): Result.Result<Decoded, MalformedArrow> =>
  attempt(() => {
    if (frame.dataHeader.length === 0 && frame.dataBody.length === 0) return { state, batch: undefined }
    const message = readMessage(frame.dataHeader)
    if (message.kind === "schema") return { state: addSchema(state, readSchema(message.table)), batch: undefined }
    const schema = state.schema ?? reject("a batch arrived before the schema")
    if (frame.dataBody.length < message.bodyLength) reject("the body of a message is cut short")
    const context = { body: frame.dataBody.subarray(0, message.bodyLength), dictionaries: state.dictionaries }
    return message.kind === "recordBatch"
      ? { state, batch: { schema, ...readColumns(schema.fields, message.table, context) } }
      : { state: addDictionary(state, message, context), batch: undefined }
  })

const addSchema = (state: DecoderState, schema: ArrowSchema): DecoderState => {
  if (state.schema === undefined) return { ...state, schema, dictionaryFields: dictionaryFields(schema) }
  if (shapeOf(state.schema) === shapeOf(schema)) return state
  return reject(`the schema changed in the middle of the stream: ${describeSchemaChange(state.schema, schema)}`)
}

/** A dictionary replaces the one of the same id or, as a delta, continues it. Earlier batches keep the old one. */
const addDictionary = (
  state: DecoderState,
  message: Message,
  context: Parameters<typeof readColumns>[2]
): DecoderState => {
  const id = message.table.bigint64(0)
  const field = state.dictionaryFields.get(id) ?? reject(`a dictionary (${id}) arrived that no column uses`)
  const data = message.table.table(1) ?? reject("a dictionary has no values")
  const known = message.table.bool(2) ? state.dictionaries.get(id) ?? [] : []
  const values = readColumns([field], data, context).columns
  return { ...state, dictionaries: new Map(state.dictionaries).set(id, [...known, ...values]) }
}
