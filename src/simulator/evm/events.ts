/** The events that contracts of the simulated chain emit; the other logs are random bytes. */
import type { Random } from "../random.ts"
import { type AbiValue, encodeAbi } from "./encodeAbi.ts"
import { keccak256 } from "./keccak.ts"
import { isHashed, parseSignature } from "./signature.ts"

/** Topics of 32 bytes each, the first of them the event's, and the data. */
export interface EventLog {
  readonly topics: ReadonlyArray<Uint8Array>
  readonly data: Uint8Array
}

export interface ChainEvent {
  readonly signature: string
  /** Part of all logs, in percent. */
  readonly share: number
  readonly topics: number
  readonly draw: (random: Random) => EventLog
}

const event = (share: number, signature: string, values: (random: Random) => ReadonlyArray<AbiValue>): ChainEvent => {
  const { inputs, topic0 } = parseSignature(signature)
  const others = inputs.flatMap(({ indexed, type }) => indexed ? [] : [type])
  return {
    signature,
    share,
    topics: 1 + inputs.length - others.length,
    draw: (random) => {
      const drawn = values(random)
      const topics = inputs.flatMap(({ indexed, type }, i) => {
        if (!indexed) return []
        const value = drawn[i]!
        if (!isHashed(type)) return [encodeAbi([type], [value])]
        if (typeof value !== "string") throw new Error(`no event of the simulator has an indexed ${type.kind}`)
        return [hashOf(value)]
      })
      return {
        topics: [topic0, ...topics],
        data: encodeAbi(others, drawn.filter((_, i) => !inputs[i]!.indexed))
      }
    }
  }
}

const MEMOS = ["", "rent", "\u00e9t\u00e9 \u2013 \u590f", "a memo that is longer than one word of thirty-two bytes"]
const MEMO_HASHES = new Map(MEMOS.map((memo) => [memo, keccak256(Buffer.from(memo))]))
const hashOf = (text: string): Uint8Array => MEMO_HASHES.get(text) ?? keccak256(Buffer.from(text))
const memo = (random: Random): string => MEMOS[random.below(MEMOS.length)]!

/** Of up to `bits` bits, of every size: zero and the largest value occur. */
const uint = (random: Random, bits: number): bigint => {
  const size = random.below(100)
  if (size < 5) return 0n
  if (size < 15) return (1n << BigInt(bits)) - 1n
  const wide = (random.next64() << 192n) | (random.next64() << 128n) | (random.next64() << 64n) | random.next64()
  return BigInt.asUintN(bits, wide) >> BigInt(random.below(bits))
}
const int = (random: Random, bits: number): bigint => BigInt.asIntN(bits, uint(random, bits))
const address = (random: Random): Uint8Array => random.chance(5) ? new Uint8Array(20) : random.bytes(20)

const EVENTS: ReadonlyArray<ChainEvent> = [
  event(20, "Transfer(address indexed from, address indexed to, uint256 value)", (random) => [
    address(random),
    address(random),
    uint(random, 256)
  ]),
  event(10, "Approval(address indexed owner, address indexed spender, uint256 value)", (random) => [
    address(random),
    address(random),
    random.chance(50) ? (1n << 256n) - 1n : uint(random, 256)
  ]),
  event(5, "Deposit(uint128 amount, string indexed memo, bytes data)", (random) => [
    uint(random, 128),
    memo(random),
    random.bytes(random.below(80))
  ]),
  event(
    5,
    "Settled(bytes32 indexed id, int256 delta, bool final, uint8 kind, int64 change, address payer, bytes4 selector, string note, uint256[] amounts, (address owner, uint96 stake, string label) position)",
    (random) => [
      random.bytes(32),
      int(random, 256),
      random.chance(50),
      uint(random, 8),
      int(random, 64),
      address(random),
      random.bytes(4),
      memo(random),
      Array.from({ length: random.below(4) }, () => uint(random, 256)),
      [address(random), uint(random, 96), memo(random)]
    ]
  )
]

/** The event of a log, or undefined for a random one. */
export const drawEvent = (random: Random): ChainEvent | undefined => {
  let percent = random.below(100)
  return EVENTS.find(({ share }) => (percent -= share) < 0)
}
