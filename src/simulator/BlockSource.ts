/** The content of one block, drawn from seed, fork and number, or that of a real chain. */
import { type ChainEvent, drawEvent, type EventLog } from "./evm/events.ts"
import type { GivenBlock, GivenRows } from "./GivenBlocks.ts"
import { Random, type Seed, seedOf, wordOf } from "./random.ts"

/** Identifies a block: its number, and the fork it was mined on. A fork is never used twice. */
export interface BlockId {
  readonly fork: number
  readonly number: bigint
}

/** 2024-03-09 16:00:00 UTC. */
const GENESIS_SECONDS = 1_710_000_000n
const SLOT_SECONDS = 12n
const NANOS = 1_000_000_000n
const HASH = wordOf("block hash")
const FRACTION = wordOf("fraction of the second")
const SHAPE = wordOf("shape")
const TRANSACTION_HASHES = wordOf("transaction hashes")
const TRANSACTION_TYPES = wordOf("transaction types")
const TOPIC_COUNTS = wordOf("topic counts")
const EVENTS_OF_LOGS = wordOf("events of logs")
const EVENT_VALUES = wordOf("values of events")
/** Of random logs: upper bounds, in percent, of 0, 1, 2, 3 and 4 topics. An anonymous event is rare. */
const TOPIC_SHARES = [1, 15, 25, 80, 100]

const seedOfBlock = (seed: number, block: BlockId): Seed =>
  seedOf([seed, block.fork, Number(block.number & 0xffff_ffffn), Number(block.number >> 32n)])

/** The 32 bytes of a block's hash: a pure function of seed, fork and number. */
export const blockHash = (seed: number, block: BlockId): Uint8Array =>
  new Random(seedOfBlock(seed, block), HASH).bytes(32)

/** Nanoseconds since 1970. Every third slot has a fraction, down to single nanoseconds. */
export const blockTimestamp = (seed: number, block: BlockId): bigint => {
  const whole = (GENESIS_SECONDS + block.number * SLOT_SECONDS) * NANOS
  if (block.number % 3n !== 1n) return whole
  return whole + BigInt(new Random(seedOfBlock(seed, block), FRACTION).below(999_999_999))
}

/** The source of all columns of one block, computed when a column needs it. */
export class BlockSource {
  readonly id: BlockId
  readonly hash: Uint8Array
  readonly parentHash: Uint8Array
  readonly timestamp: bigint
  /** Number of logs of each transaction; its length is the number of transactions. */
  readonly logsOfTransaction: Uint8Array
  readonly logs: number
  /** The rows of a block of a real chain: then nothing is drawn. */
  readonly given: GivenRows | undefined
  private readonly seed: Seed
  private hashes: Uint8Array | undefined
  private types: Uint8Array | undefined
  private owners: Uint32Array | undefined
  private topics: Uint8Array | undefined
  private events: ReadonlyArray<ChainEvent | undefined> | undefined
  private emitted: ReadonlyArray<EventLog | undefined> | undefined
  private readonly drawn = new Map<number, ReadonlyArray<bigint>>()

  /** With as many transactions as given, instead of a number drawn from the seed. */
  constructor(seed: number, id: BlockId, parentHash: Uint8Array, transactionsGiven?: number, given?: GivenBlock) {
    this.id = id
    this.seed = seedOfBlock(seed, id)
    this.hash = given?.hash ?? blockHash(seed, id)
    this.parentHash = parentHash
    this.timestamp = given?.timestamp ?? blockTimestamp(seed, id)
    this.given = given?.rows
    const shape = this.random(SHAPE)
    // Some blocks are empty, most hold several transactions of several logs: about 6 and 14 on average.
    const transactions = transactionsGiven ?? (shape.chance(8) ? 0 : 1 + shape.below(12))
    this.logsOfTransaction = new Uint8Array(transactions)
    let logs = 0
    for (let i = 0; i < transactions; i += 1) {
      const count = shape.chance(20) ? 0 : 1 + shape.below(5)
      this.logsOfTransaction[i] = count
      logs += count
    }
    this.logs = logs
  }

  /** A separate stream of random numbers for each `word`. */
  random(word: number): Random {
    return new Random(this.seed, word)
  }

  get transactions(): number {
    return this.logsOfTransaction.length
  }

  /** 32 bytes per transaction. */
  get transactionHashes(): Uint8Array {
    return this.hashes ??= this.random(TRANSACTION_HASHES).bytes(this.transactions * 32)
  }

  /** Envelope type of each transaction: 0 legacy, 1 access list, 2 dynamic fee, 3 blob, 4 set code. */
  get transactionTypes(): Uint8Array {
    if (this.types === undefined) {
      const random = this.random(TRANSACTION_TYPES)
      this.types = Uint8Array.from({ length: this.transactions }, () => random.below(5))
    }
    return this.types
  }

  /** One value per transaction, from the random numbers of `word`: for what several columns or rows share. */
  perTransaction(word: number, draw: (random: Random) => bigint): ReadonlyArray<bigint> {
    const known = this.drawn.get(word)
    if (known !== undefined) return known
    const random = this.random(word)
    const values = Array.from({ length: this.transactions }, () => draw(random))
    this.drawn.set(word, values)
    return values
  }

  /** Index of the transaction that each log belongs to. */
  get transactionOfLog(): Uint32Array {
    if (this.owners === undefined) {
      this.owners = new Uint32Array(this.logs)
      let log = 0
      this.logsOfTransaction.forEach((count, transaction) => {
        this.owners!.fill(transaction, log, log += count)
      })
    }
    return this.owners
  }

  /** Number of topics of each log. */
  get topicsOfLog(): Uint8Array {
    if (this.topics === undefined) {
      const random = this.random(TOPIC_COUNTS)
      this.topics = Uint8Array.from({ length: this.logs }, (_, log) => {
        const percent = random.below(100)
        return this.eventOfLog[log]?.topics ?? TOPIC_SHARES.findIndex((share) => percent < share)
      })
    }
    return this.topics
  }

  /** Topics and data of each log that is an event; the others are random. */
  get eventLogs(): ReadonlyArray<EventLog | undefined> {
    if (this.emitted === undefined) {
      const random = this.random(EVENT_VALUES)
      this.emitted = this.eventOfLog.map((event) => event?.draw(random))
    }
    return this.emitted
  }

  private get eventOfLog(): ReadonlyArray<ChainEvent | undefined> {
    if (this.events === undefined) {
      const random = this.random(EVENTS_OF_LOGS)
      this.events = Array.from({ length: this.logs }, () => drawEvent(random))
    }
    return this.events
  }
}
