import { assert, describe, it } from "@effect/vitest"
import { flightProtocol } from "arrow-flight-client"
import { Arbitrary, Result, Schema } from "effect"
import * as Flight from "../../../src/domain/flight/messages.ts"

const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex.replaceAll(/\s/g, ""), "hex"))
const hex = (_: Uint8Array) => Buffer.from(_).toString("hex")
const NONE = new Uint8Array(0)

/** `Any{CommandStatementQuery{query: "SELECT 1"}}`, computed independently of this code base. */
const SELECT_1 = bytes(`
  0a43 747970652e676f6f676c65617069732e636f6d2f6172726f772e666c696768742e70726f746f636f6c2e73716c2e436f6d6d616e64
  53746174656d656e745175657279 120a 0a08 53454c4543542031`)

const anyBytes = Arbitrary.map(
  Arbitrary.array(Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 }))), {
    maxLength: 200
  }),
  (_) => Uint8Array.from(_)
)
const anyInt64 = Arbitrary.schema(
  Schema.BigInt.check(Schema.isBetweenBigInt({ minimum: -(1n << 63n), maximum: (1n << 63n) - 1n }))
)
// A lone surrogate has no UTF-8 form, so it cannot be sent in the first place.
const anyText = Arbitrary.map(Arbitrary.schema(Schema.String), (_) => Buffer.from(_).toString())
const anyInfo = Arbitrary.all({
  schema: anyBytes,
  descriptor: Arbitrary.all({ type: Arbitrary.Constant(2), cmd: anyBytes }),
  endpoints: Arbitrary.array(
    Arbitrary.all({ ticket: anyBytes, locations: Arbitrary.array(anyText, { maxLength: 3 }) }),
    { maxLength: 3 }
  ),
  totalRecords: anyInt64,
  totalBytes: anyInt64,
  ordered: Arbitrary.schema(Schema.Boolean)
})

const decoders: ReadonlyArray<(bytes: Uint8Array) => Result.Result<unknown, Flight.MalformedFlightMessage>> = [
  Flight.decodeFlightDescriptor,
  Flight.decodeStatementQuery,
  Flight.decodeFlightInfo,
  Flight.decodeTicket,
  Flight.decodeFlightData
]

describe("Flight messages", () => {
  it("writes the command of SELECT 1 byte for byte and reads it back", () => {
    assert.strictEqual(hex(Flight.encodeStatementQuery("SELECT 1")), hex(SELECT_1))
    assert.deepStrictEqual(Flight.decodeStatementQuery(SELECT_1), Result.succeed("SELECT 1"))
  })

  it("rejects the command of another Flight SQL call and names it", () => {
    const other = Uint8Array.from(SELECT_1)
    other[40] = "X".charCodeAt(0)
    const decoded = Flight.decodeStatementQuery(other)
    assert.isTrue(Result.isFailure(decoded))
    if (Result.isFailure(decoded)) assert.include(decoded.failure.message, "type.googleapis.com")
  })

  it.prop("reads back every FlightInfo it wrote", { info: anyInfo }, ({ info }) => {
    const decoded = Flight.decodeFlightInfo(Flight.encodeFlightInfo(info))
    assert.deepStrictEqual(normal(Result.getOrThrow(decoded)), normal(info))
  })

  it.each([-1n, 0n, 1n, 127n, 128n, (1n << 63n) - 1n, -(1n << 63n)])("carries a total of %d exactly", (total) => {
    const info = {
      schema: SELECT_1,
      descriptor: undefined,
      endpoints: [],
      totalRecords: total,
      totalBytes: -total,
      ordered: true
    }
    const decoded = Result.getOrThrow(Flight.decodeFlightInfo(Flight.encodeFlightInfo(info)))
    assert.deepStrictEqual([decoded.totalRecords, decoded.totalBytes], [total, BigInt.asIntN(64, -total)])
  })

  it.prop("writes a FlightInfo that the codec of another library reads the same way", { info: anyInfo }, ({ info }) => {
    // That codec reads int64 as a double and rejects values that do not fit.
    const small = { ...info, totalRecords: BigInt.asIntN(40, info.totalRecords), totalBytes: -1n }
    const theirs = flightProtocol.FlightInfo.decode(Flight.encodeFlightInfo(small))
    assert.deepStrictEqual(
      theirs.endpoint.map((_) => [hex(_.ticket?.ticket ?? NONE), _.location.map((l) => l.uri)]),
      info.endpoints.map((_) => [hex(_.ticket), _.locations])
    )
    assert.deepStrictEqual([BigInt(theirs.totalRecords), BigInt(theirs.totalBytes)], [small.totalRecords, -1n])
    assert.strictEqual(hex(theirs.schema), hex(info.schema))
    assert.strictEqual(hex(theirs.flightDescriptor?.cmd ?? NONE), hex(info.descriptor.cmd))
  })

  it("reads messages of the generated codec of another library, which has more fields", () => {
    const theirs = flightProtocol.FlightInfo.encode(flightProtocol.FlightInfo.fromPartial({
      schema: Buffer.from("schema"),
      flightDescriptor: { type: 2, cmd: Buffer.from(SELECT_1) },
      endpoint: [{
        ticket: { ticket: Buffer.from("T") },
        location: [{ uri: "grpc://x:1" }],
        expirationTime: new Date(0),
        appMetadata: Buffer.from("ignored")
      }],
      appMetadata: Buffer.from("ignored")
    })).finish()
    const decoded = Result.getOrThrow(Flight.decodeFlightInfo(theirs))
    assert.deepStrictEqual(decoded.endpoints.map((_) => [hex(_.ticket), _.locations]), [["54", ["grpc://x:1"]]])
    assert.strictEqual(hex(decoded.descriptor!.cmd), hex(SELECT_1))
  })

  it("returns FlightData as views of the bytes that arrived, in whatever order the fields came", () => {
    const data = { dataHeader: bytes("0102"), dataBody: bytes("030405"), appMetadata: bytes("06") }
    const written = Flight.encodeFlightData(data)
    const reversed = Uint8Array.from([...bytes("c23e03030405"), ...bytes("1a0106"), ...bytes("12020102")])
    for (const input of [written, reversed]) {
      const decoded = Result.getOrThrow(Flight.decodeFlightData(input))
      assert.deepStrictEqual([hex(decoded.dataHeader), hex(decoded.dataBody), hex(decoded.appMetadata)], [
        "0102",
        "030405",
        "06"
      ])
      assert.strictEqual(decoded.dataBody.buffer, input.buffer)
    }
  })

  it("skips unknown fields of every wire type, groups included", () => {
    // field 9: varint, fixed64, bytes, group{varint}, fixed32
    const unknown = bytes("48ffff03 490102030405060708 4a0401020304 4b 0801 4c 4d01020304")
    const decoded = Flight.decodeTicket(Uint8Array.from([...unknown, ...Flight.encodeTicket(bytes("aa")), ...unknown]))
    assert.deepStrictEqual(Result.map(decoded, hex), Result.succeed("aa"))
  })

  it("ends as an error on every prefix that cuts a field, and never throws", () => {
    const whole = Flight.encodeFlightData({
      dataHeader: SELECT_1,
      dataBody: new Uint8Array(300),
      appMetadata: SELECT_1
    })
    const boundaries = new Set([0, 2 + SELECT_1.length, 2 * (2 + SELECT_1.length), whole.length])
    for (let end = 0; end <= whole.length; end += 1) {
      assert.strictEqual(
        Result.isSuccess(Flight.decodeFlightData(whole.subarray(0, end))),
        boundaries.has(end),
        `prefix ${end}`
      )
    }
  })

  it.prop("decodes arbitrary bytes to a value or MalformedFlightMessage", { input: anyBytes }, ({ input }) => {
    for (const decode of decoders) {
      const decoded = decode(input)
      if (Result.isFailure(decoded)) assert.strictEqual(decoded.failure._tag, "MalformedFlightMessage")
    }
  }, { arbitrary: { runs: 2000 } })

  it.each([
    ["a varint of eleven bytes", "48ffffffffffffffffffff01"],
    ["a varint of 65 bits", "48ffffffffffffffffff03"],
    ["a length beyond the end", "0aff01 00"],
    ["a length of 2^63", "0affffffffffffffff7f"],
    ["field number 0", "0200"],
    ["an end of group without a start", "4c"],
    ["a group that never ends", "4b0801"],
    ["wire type 6", "0e"],
    ["a varint where bytes belong", "0801"]
  ])("rejects %s", (_, input) => {
    assert.isTrue(Result.isFailure(Flight.decodeTicket(bytes(input))))
  })
})

const normal = (info: Flight.FlightInfo) => ({
  ...info,
  schema: hex(info.schema),
  descriptor: info.descriptor === undefined ? undefined : { type: info.descriptor.type, cmd: hex(info.descriptor.cmd) },
  endpoints: info.endpoints.map((_) => ({ ticket: hex(_.ticket), locations: _.locations }))
})
