/** Reads the header of one Arrow IPC message. */
import { type FlatTable, rootTable } from "./flatbuffer.ts"
import { reject } from "./MalformedArrow.ts"

/** One message of Arrow IPC: its kind, its table, and the length that its body must have. */
export interface Message {
  readonly kind: "schema" | "dictionaryBatch" | "recordBatch"
  readonly table: FlatTable
  readonly bodyLength: number
}

/** Opens a flatbuffer `Message`. Source: Apache Arrow, format/Message.fbs. */
export const readMessage = (bytes: Uint8Array): Message => {
  const message = rootTable(bytes)
  const version = message.int16(0, 0)
  if (version !== V5) {
    reject(`it is written in metadata version V${version + 1}, and only V5 (Arrow 1.0 and later) is read`)
  }
  const headerType = message.uint8(1, 0)
  const kind = kinds[headerType] ?? reject(`a message of kind ${headerType} is neither a schema nor a batch`)
  const table = message.table(2) ?? reject("a message has no header")
  return { kind, table, bodyLength: message.size(3) }
}

const V5 = 4

const kinds: Readonly<Record<number, Message["kind"]>> = { 1: "schema", 2: "dictionaryBatch", 3: "recordBatch" }
