import { assert, describe, it } from "@effect/vitest"
import { pathDescriptor } from "arrow-flight-client"
import { Effect } from "effect"
import { encodeFlightDescriptor } from "../../src/domain/flight/messages.ts"
import { startSimulator } from "../../src/simulator/Simulator.ts"
import type { Dialect } from "../../src/simulator/tables.ts"
import { arrowFlightReader } from "./arrowFlightReader.ts"

/** The reason of a rejected promise, as text. */
const failureOf = (promise: Promise<unknown>): Effect.Effect<string> =>
  Effect.promise(() => promise.then(() => "no failure", String))

const stream = "SETTINGS stream = true"

/** Query, call that fails, status, words of the message. */
type Case = readonly [sql: string, call: "GetFlightInfo" | "DoGet", status: string, text: string]

const cases: Readonly<Record<Dialect, ReadonlyArray<Case>>> = {
  nozzle: [
    [
      "SELEC * FROM anvil.blocks",
      "GetFlightInfo",
      "INVALID_ARGUMENT",
      "SQL parse error: SQL error: ParserError(\"Expected: an SQL statement, found: SELEC at Line: 1, Column: 1\")"
    ],
    [
      "SELECT * FROM anvil.blocks; SETTINGS stream = true",
      "GetFlightInfo",
      "INVALID_ARGUMENT",
      "Expected: an SQL statement, found: SETTINGS"
    ],
    [
      "SELECT * FROM blocks",
      "GetFlightInfo",
      "INTERNAL",
      "Found unqualified table 'blocks', all tables must be qualified"
    ],
    ["SELECT * FROM other.blocks", "GetFlightInfo", "INTERNAL", "Dataset 'other' version 'latest' not found"],
    ["SELECT * FROM anvil__9_9_9.blocks", "GetFlightInfo", "INTERNAL", "Dataset 'anvil' version '9.9.9' not found"],
    ["SELECT * FROM anvil.receipts", "GetFlightInfo", "INTERNAL", "table 'datafusion.anvil.receipts' not found"],
    ["SELECT nothing FROM anvil.blocks", "GetFlightInfo", "INTERNAL", "No field named nothing"],
    [`SELECT * FROM anvil.blocks LIMIT 3 ${stream}`, "DoGet", "INVALID_ARGUMENT", "non-incremental operation: `Limit`"],
    [`SELECT count(*) FROM anvil.blocks ${stream}`, "DoGet", "INVALID_ARGUMENT", "operation: `Aggregate`"],
    [`SELECT DISTINCT hash FROM anvil.blocks ${stream}`, "DoGet", "INVALID_ARGUMENT", "operation: `Distinct`"]
  ],
  amp: [
    [
      "SELEC * FROM anvil.blocks",
      "GetFlightInfo",
      "INVALID_ARGUMENT",
      "SQL parse error | Caused by: Invalid SQL syntax"
    ],
    [" ", "GetFlightInfo", "INVALID_ARGUMENT", "invalid query"],
    ["SELECT * FROM a.b.blocks", "GetFlightInfo", "INVALID_ARGUMENT", "Failed to resolve table references from SQL"],
    [
      `SELECT * FROM "Not A Reference".blocks`,
      "GetFlightInfo",
      "INVALID_ARGUMENT",
      "Failed to resolve table references"
    ],
    [
      `SELECT * FROM "_/anvil@9.9.9".blocks`,
      "GetFlightInfo",
      "INTERNAL",
      "failed to infer SQL output schema | Caused by"
    ],
    ["SELECT * FROM anvil.receipts", "GetFlightInfo", "INTERNAL", "not found"],
    ["SELECT nothing FROM anvil.blocks", "GetFlightInfo", "INTERNAL", "No field named nothing"],
    ["SELECT hash AS _h FROM anvil.blocks", "GetFlightInfo", "INVALID_ARGUMENT", "alias starting with '_': '_h'"],
    [
      `SELECT * FROM anvil.blocks ORDER BY block_num ${stream}`,
      "DoGet",
      "INVALID_ARGUMENT",
      "incremental operation: Sort"
    ],
    [`SELECT * FROM anvil.blocks LIMIT 3 ${stream}`, "DoGet", "INVALID_ARGUMENT", "non-incremental operation: Limit"],
    // Found out behind the schema, where the first range is planned.
    [
      `SELECT DISTINCT ON (block_num()) hash FROM anvil.blocks ORDER BY block_num() ${stream}`,
      "DoGet",
      "INTERNAL",
      "non-incremental operation: Sort"
    ],
    [
      "SELECT * FROM anvil.blocks JOIN anvil.logs ON 1 = 1",
      "GetFlightInfo",
      "INVALID_ARGUMENT",
      "does not evaluate: Join"
    ]
  ]
}

describe("errors of the simulator", () => {
  for (const dialect of ["nozzle", "amp"] as const) {
    for (const [sql, call, status, text] of cases[dialect]) {
      it.live(`${dialect}: "${sql}" fails with ${status} on ${call}`, () =>
        Effect.gen(function*() {
          const simulator = yield* startSimulator({ dialect, blocks: 5 })
          const reader = yield* arrowFlightReader(simulator.flightUrl)
          const planned = yield* failureOf(reader.ticket(sql))
          if (call === "DoGet") assert.strictEqual(planned, "no failure")
          const failure = call === "DoGet" ? yield* failureOf(reader.batches(sql)) : planned
          assert.include(failure, status)
          assert.include(failure, text)
        }))
    }

    it.live(`${dialect}: accepts every way to name a dataset`, () =>
      Effect.gen(function*() {
        const simulator = yield* startSimulator({ dialect, blocks: 5, versionSuffix: "dev1" })
        const reader = yield* arrowFlightReader(simulator.flightUrl)
        const names = dialect === "nozzle"
          ? ["anvil", "ANVIL", "anvil__0_1_0", "example", `"example__0_1_0"`]
          : ["anvil", `"_/anvil"`, `"_/anvil@0.1.0"`, `"anvil@latest"`, `"_/example@dev"`, `"example@0.1.0-dev1"`]
        for (const name of names) {
          const [batch] = yield* Effect.promise(() => reader.batches(`SELECT "hash", block_num FROM ${name}.blocks`))
          assert.deepStrictEqual(batch!.batch.schema.fields.map((_) => _.name), ["hash", "block_num"], name)
        }
      }))

    it.live(`${dialect}: without the right token both calls are UNAUTHENTICATED`, () =>
      Effect.gen(function*() {
        const simulator = yield* startSimulator({ dialect, blocks: 5, token: "s3cret" })
        const right = yield* arrowFlightReader(simulator.flightUrl, { authorization: "Bearer s3cret" })
        const wrong = yield* arrowFlightReader(simulator.flightUrl, { authorization: "Bearer guess" })
        const sql = "SELECT hash FROM anvil.blocks"
        assert.include(yield* failureOf(wrong.ticket(sql)), "UNAUTHENTICATED")
        const ticket = yield* Effect.promise(() => right.ticket(sql))
        assert.include(yield* failureOf(wrong.client.getTable(ticket)), "UNAUTHENTICATED")
        assert.strictEqual((yield* Effect.promise(() => right.client.getTable(ticket))).numRows, 5)
      }))

    it.live(`${dialect}: rejects the descriptors, tickets and methods that the real server rejects`, () =>
      Effect.gen(function*() {
        const simulator = yield* startSimulator({ dialect, blocks: 5 })
        const { client } = yield* arrowFlightReader(simulator.flightUrl)
        const command = (cmd: Uint8Array) => client.getFlightInfo({ type: "command", command: cmd })
        assert.include(
          yield* failureOf(client.getFlightInfo(pathDescriptor("a"))),
          "unsupported flight descriptor type: 1"
        )
        assert.include(yield* failureOf(command(Buffer.from("SELECT 1"))), "ProtocolBuffers decoding error")
        const tables = encodeFlightDescriptor({ type: 0, cmd: Buffer.from("type.googleapis.com/x.CommandGetTables") })
        assert.include(
          yield* failureOf(command(Uint8Array.from([0x0a, ...tables.subarray(1)]))),
          "unsupported flight descriptor command"
        )
        assert.include(yield* failureOf(client.getTable(Buffer.from("junk"))), "INVALID_ARGUMENT")
        assert.include(yield* failureOf(client.getSchema(pathDescriptor("a"))), "UNIMPLEMENTED: get_schema")
        // The handler of the real server panics here, and the connection is gone.
        const hello = [{ protocolVersion: 0, payload: Buffer.from("") }]
        const shaken = client.raw.handshake((async function*() {
          yield* hello
        })())[Symbol.asyncIterator]()
        assert.include(yield* failureOf(shaken.next()), "UNAVAILABLE")
      }))
  }
})
