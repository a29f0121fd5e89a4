import { assert, describe, it } from "@effect/vitest"
import { SqlError } from "effect/sql"
import { EncodeError } from "../../src/domain/postgres/encode/EncodeError.ts"
import { isRetryable } from "../../src/domain/retryable.ts"
import { ManifestError } from "../../src/services/ManifestSource.ts"
import { Fenced, TableRejected } from "../../src/services/TableLeases.ts"
import { TableChanged } from "../../src/services/TableSink.ts"
import { flightError } from "../doubles/FlightClient.ts"
import { sourceHeadError } from "../doubles/SourceHead.ts"

const fields = { message: "m", operation: "SELECT", cause: "c" }
const encodeError = (kind: EncodeError["kind"]) =>
  new EncodeError({ kind, column: "c", row: 0, position: undefined, range: undefined, reason: "no" })

describe("isRetryable", () => {
  it("is true for errors that may not occur again: of the server, of PostgreSQL and of ampsync", () => {
    const errors = [
      flightError(true),
      sourceHeadError({ retryable: true }),
      new SqlError.SqlError({ reason: new SqlError.ConnectionError(fields) }),
      new TableChanged({ table: "t", detail: "dropped" }),
      encodeError("schema")
    ]
    for (const error of errors) assert.isTrue(isRetryable(error), error._tag)
  })

  it("is false for errors that need a change of settings, config or data", () => {
    const errors = [
      flightError(false),
      sourceHeadError({ retryable: false }),
      new SqlError.SqlError({ reason: new SqlError.AuthorizationError(fields) }),
      new TableRejected({ table: "t", reason: "not ours" }),
      new Fenced({ table: "t" }),
      new ManifestError({ operation: "read", path: "p", file: undefined, line: undefined, problems: ["no"] }),
      encodeError("value")
    ]
    for (const error of errors) assert.isFalse(isRetryable(error), error._tag)
  })
})
