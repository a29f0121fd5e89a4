import { assert, describe, it } from "@effect/vitest"
import { decodeAbi } from "../../../src/simulator/evm/decodeAbi.ts"
import { decodeLog, structOf } from "../../../src/simulator/evm/decodeLog.ts"
import { InvalidSignature, parseSignature } from "../../../src/simulator/evm/signature.ts"

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.replaceAll(/\s/g, ""), "hex"))
const word = (hex: string): string => hex.padStart(64, "0")
const padded = (hex: string): string => hex.padEnd(64, "0")
const typesOf = (types: string) => parseSignature(`E(${types})`).inputs.map(({ type }) => type)

describe("the ABI decoder of the simulator", () => {
  it("reads the examples of the Solidity documentation", () => {
    const sam = [
      word("60"),
      word("1"),
      word("a0"),
      word("4"),
      padded("64617665"),
      word("3"),
      word("1"),
      word("2"),
      word("3")
    ]
    assert.deepStrictEqual(decodeAbi(typesOf("bytes,bool,uint256[]"), bytes(sam.join(""))), [
      bytes("64617665"),
      true,
      ["1", "2", "3"]
    ])
    const f = [
      word("123"),
      word("80"),
      padded("31323334353637383930"),
      word("e0"),
      word("2"),
      word("456"),
      word("789"),
      word("d"),
      padded("48656c6c6f2c20776f726c6421")
    ]
    assert.deepStrictEqual(decodeAbi(typesOf("uint256,uint32[],bytes10,bytes"), bytes(f.join(""))), [
      "291",
      [0x456, 0x789],
      bytes("31323334353637383930"),
      bytes("48656c6c6f2c20776f726c6421")
    ])
  })

  it("reads arrays of arrays, static and dynamic tuples and the limits of integers", () => {
    const nested = [
      word("40"),
      word("140"),
      word("2"),
      word("40"),
      word("a0"),
      word("2"),
      word("1"),
      word("2"),
      word("1"),
      word("3")
    ]
    const texts = [
      word("3"),
      word("60"),
      word("a0"),
      word("e0"),
      word("3"),
      padded("6f6e65"),
      word("3"),
      padded("74776f")
    ]
    const end = [word("5"), padded("7468726565")]
    assert.deepStrictEqual(decodeAbi(typesOf("uint256[][],string[]"), bytes([...nested, ...texts, ...end].join(""))), [
      [["1", "2"], ["3"]],
      ["one", "two", "three"]
    ])
    const ones = "f".repeat(64)
    const limits = [ones, ones, word("f".repeat(32)), ones, word("f".repeat(24)), "8".padEnd(64, "0"), word("ff"), ones]
    assert.deepStrictEqual(
      decodeAbi(typesOf("uint256,int256,uint128,int64,(uint96,int256),uint8,int8"), bytes(limits.join(""))),
      [
        "115792089237316195423570985008687907853269984665640564039457584007913129639935",
        "-1",
        340282366920938463463374607431768211455n,
        -1n,
        {
          c0: 79228162514264337593543950335n,
          c1: "-57896044618658097711785492504343953926634992332820282019728792003956564819968"
        },
        255,
        -1
      ]
    )
    const pair = [word("20"), word("7"), word("40"), word("2"), padded("6869")]
    assert.deepStrictEqual(decodeAbi(typesOf("(uint8,string)"), bytes(pair.join(""))), [{ c0: 7, c1: "hi" }])
  })

  it("gives NULL for a log whose topics or data are not of the event", () => {
    const event = parseSignature("Transfer(address indexed from, address indexed to, uint256 value)")
    const [from, to] = [bytes(word("a1")), bytes(word("b2"))]
    assert.deepStrictEqual(decodeLog(event, [from, to], bytes(word("2a"))), {
      from: bytes("a1".padStart(40, "0")),
      to: bytes("b2".padStart(40, "0")),
      value: "42"
    })
    assert.isNull(decodeLog(event, [from], bytes(word("2a"))))
    assert.isNull(decodeLog(event, [from, to, to], bytes(word("2a"))))
    assert.isNull(decodeLog(event, [from, to], bytes("2a")))
    assert.isNull(decodeLog(event, [bytes(padded("a1")), to], bytes(word("2a"))))
    for (
      const [types, data] of [
        ["uint8 a", word("100")],
        ["bool a", word("2")],
        ["bytes4 a", word("1")],
        ["string a", word("20") + word("ff")],
        ["uint256[] a", word("20") + "f".repeat(64)],
        ["uint256[] a", word("f".repeat(10))]
      ] as const
    ) assert.isNull(decodeLog(parseSignature(`E(${types})`), [], bytes(data)), types)
  })

  it("gives the types of the real servers", () => {
    const event = parseSignature(
      "E(uint8 a, uint24 b, int64 c, uint72 d, uint128 e, uint256 f, int256 g, string indexed h, bytes4 i, bool[] j, (address x, bytes y) k)"
    )
    const nullable = true
    const decimal = (bits: 128 | 256, precision: number) => ({ kind: "decimal", bits, precision, scale: 0 })
    const tuple = {
      kind: "struct",
      fields: [
        { name: "c0", type: { kind: "fixedSizeBinary", width: 20 }, nullable },
        { name: "c1", type: { kind: "binary", offsets: 32 }, nullable }
      ]
    }
    assert.deepStrictEqual(structOf(event).fields.map(({ name, type }) => [name, type]) as unknown, [
      ["a", { kind: "int", bits: 8, signed: false }],
      ["b", { kind: "int", bits: 32, signed: false }],
      ["c", { kind: "int", bits: 64, signed: true }],
      ["d", decimal(128, 38)],
      ["e", decimal(256, 76)],
      ["f", { kind: "utf8", offsets: 32 }],
      ["g", { kind: "utf8", offsets: 32 }],
      ["h", { kind: "fixedSizeBinary", width: 32 }],
      ["i", { kind: "fixedSizeBinary", width: 4 }],
      ["j", { kind: "list", offsets: 32, item: { name: "item", type: { kind: "bool" }, nullable } }],
      ["k", tuple]
    ])
  })

  it("rejects text that is no event signature", () => {
    for (
      const text of [
        "",
        "Transfer",
        "Transfer(address",
        "Transfer(address from) x",
        "E(uint7 a)",
        "E(uint264 a)",
        "E(bytes33 a)",
        "E(thing a)",
        "E(uint8 a, uint8 a)",
        "E(uint8 a,)",
        "E(() a)",
        "E(uint8; a)",
        "E(bool indexed a, bool indexed b, bool indexed c, bool indexed d)"
      ]
    ) assert.throws(() => parseSignature(text), InvalidSignature, undefined, text)
  })
})
