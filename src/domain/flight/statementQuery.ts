/** Encodes and decodes the Flight SQL command of a query. */
import { Result } from "effect"
import { expectWireType, LENGTH_DELIMITED, MalformedFlightMessage, readFields, textOf } from "./wire.ts"
import { assemble, bytesField, stringField } from "./wireWriter.ts"

/** The only type of command the servers accept in a descriptor. */
export const STATEMENT_QUERY_TYPE_URL = "type.googleapis.com/arrow.flight.protocol.sql.CommandStatementQuery"

/** `google.protobuf.Any`: the envelope of a Flight SQL command. `value` is a view of the bytes that arrived. */
export interface Any {
  readonly typeUrl: string
  readonly value: Uint8Array
}

/** Fails: `MalformedFlightMessage`. */
export const decodeAny = (bytes: Uint8Array): Result.Result<Any, MalformedFlightMessage> => {
  let typeUrl = ""
  let value: Uint8Array = new Uint8Array(0)
  return Result.map(
    readFields("Any", bytes, (field) => {
      if (field.number > 2) return undefined
      const wrong = expectWireType(field, LENGTH_DELIMITED)
      if (wrong !== undefined) return wrong
      if (field.number === 2) {
        value = field.bytes
        return undefined
      }
      const text = textOf(field.bytes)
      if (Result.isFailure(text)) return text.failure
      typeUrl = text.success
      return undefined
    }),
    () => ({ typeUrl, value })
  )
}

/** `Any{CommandStatementQuery{query}}`, the bytes of a descriptor's `cmd`. */
export const encodeStatementQuery = (sql: string): Uint8Array =>
  assemble([
    ...stringField(1, STATEMENT_QUERY_TYPE_URL),
    ...bytesField(2, assemble(stringField(1, sql)))
  ])

/**
 * The SQL text of a descriptor's `cmd`.
 *
 * Fails: `MalformedFlightMessage`, also for an envelope of another command (read that with `decodeAny`).
 * Source: format/FlightSql.proto, `CommandStatementQuery`.
 */
export const decodeStatementQuery = (bytes: Uint8Array): Result.Result<string, MalformedFlightMessage> =>
  Result.flatMap(decodeAny(bytes), (any) => {
    if (any.typeUrl !== STATEMENT_QUERY_TYPE_URL) {
      return Result.fail(
        new MalformedFlightMessage({
          messageName: "CommandStatementQuery",
          offset: 0,
          reason: `the command is a "${any.typeUrl}"`
        })
      )
    }
    let query = ""
    return Result.map(
      readFields("CommandStatementQuery", any.value, (field) => {
        if (field.number !== 1) return undefined
        const wrong = expectWireType(field, LENGTH_DELIMITED)
        if (wrong !== undefined) return wrong
        const text = textOf(field.bytes)
        if (Result.isFailure(text)) return text.failure
        query = text.success
        return undefined
      }),
      () => query
    )
  })
