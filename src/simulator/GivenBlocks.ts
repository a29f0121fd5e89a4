/** Blocks of a real chain, by the fork of the simulator that they were taken into. */
import type { PlainValue } from "./columns.ts"

/** Rows of each table, by column name. */
export type GivenRows = Readonly<
  Record<"blocks" | "transactions" | "logs", ReadonlyArray<{ readonly [column: string]: PlainValue }>>
>

/** A block that was not drawn from a seed. */
export interface GivenBlock {
  readonly number: bigint
  readonly hash: Uint8Array
  readonly parentHash: Uint8Array
  /** Nanoseconds since 1970. */
  readonly timestamp: bigint
  readonly rows: GivenRows
}

interface Id {
  readonly fork: number
  readonly number: bigint
}

const keyOf = ({ fork, number }: Id): string => `${fork}:${number}`

/** Keeps every block, orphaned ones too: for development chains. */
export class GivenBlocks {
  private readonly blocks = new Map<string, GivenBlock>()

  get(id: Id): GivenBlock | undefined {
    return this.blocks.get(keyOf(id))
  }

  add(fork: number, block: GivenBlock): void {
    this.blocks.set(keyOf({ fork, number: block.number }), block)
  }
}
