import { type FlatTable, rootTable } from "./flatbuffer.ts"
import { refuse } from "./MalformedArrow.ts"

/** One message of Arrow IPC: what kind it is, its own table, and how long its body must be. */
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
    refuse(`it is written in metadata version V${version + 1}, and only V5 (Arrow 1.0 and later) is read`)
  }
  const headerType = message.uint8(1, 0)
  const kind = kinds[headerType] ?? refuse(`a message of kind ${headerType} is neither a schema nor a batch`)
  const table = message.table(2) ?? refuse("a message has no header")
  return { kind, table, bodyLength: message.size(3) }
}

const V5 = 4

const kinds: Readonly<Record<number, Message["kind"]>> = { 1: "schema", 2: "dictionaryBatch", 3: "recordBatch" }
