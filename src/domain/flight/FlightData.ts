/** One message of a Flight DoGet stream, its three parts as views of the bytes that arrived. */
export interface FlightData {
  /** Raw flatbuffer `Message` of Arrow IPC: no `FFFFFFFF` prefix, no length. */
  readonly dataHeader: Uint8Array
  /** Body of that message; may begin at any byte offset of its memory. */
  readonly dataBody: Uint8Array
  /** JSON of the server, empty on schema and dictionary messages. */
  readonly appMetadata: Uint8Array
}
