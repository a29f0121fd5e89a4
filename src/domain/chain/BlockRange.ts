/** Blocks `start` to `end`, both inclusive, on the chain that `hash` and `prevHash` identify. */
export interface BlockRange {
  readonly network: string
  readonly start: bigint
  readonly end: bigint
  /** Hash of block `end`: `0x` and 64 lower-case hex digits. */
  readonly hash: string
  /** Hash of the block before `start`; absent for genesis (null or the zero hash on the wire) and where the server does not know it. */
  readonly prevHash: string | undefined
  /** Unix seconds of block `end`, where the server reports them (amp). */
  readonly timestamp: number | undefined
}

/** The position sent to a server to resume: the last complete block of `network` and its hash. */
export interface Cursor {
  readonly network: string
  readonly number: bigint
  readonly hash: string
}
