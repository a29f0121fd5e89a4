/**
 * Keccak-256 as Ethereum uses it: SHA3-256 with the padding of the contest submission.
 *
 * Source: FIPS 202, sections 3.2 (step mappings), 4 (sponge) and 5.1 (padding).
 */

const RATE_BYTES = 136
const LANES = 25
const MASK = (1n << 64n) - 1n

const rotated = (lane: bigint, bits: number): bigint =>
  bits === 0 ? lane : ((lane << BigInt(bits)) | (lane >> BigInt(64 - bits))) & MASK

/** One constant for each of the 24 rounds, from the linear feedback register of section 3.2.5. */
const roundConstants = (): ReadonlyArray<bigint> => {
  let register = 1
  return Array.from({ length: 24 }, () => {
    let constant = 0n
    for (let j = 0; j < 7; j += 1) {
      if ((register & 1) === 1) constant |= 1n << BigInt((1 << j) - 1)
      register = ((register << 1) ^ ((register >> 7) * 0x171)) & 0xff
    }
    return constant
  })
}
const ROUND_CONSTANTS = roundConstants()

const permute = (state: BigUint64Array): void => {
  for (const constant of ROUND_CONSTANTS) {
    const parity = Array.from(
      { length: 5 },
      (_, x) => state[x]! ^ state[x + 5]! ^ state[x + 10]! ^ state[x + 15]! ^ state[x + 20]!
    )
    for (let i = 0; i < LANES; i += 1) state[i]! ^= parity[(i + 4) % 5]! ^ rotated(parity[(i + 1) % 5]!, 1)
    let [x, y] = [1, 0]
    let moved = state[1]!
    for (let step = 0; step < 24; step += 1) {
      ;[x, y] = [y, (2 * x + 3 * y) % 5]
      const next = state[x + 5 * y]!
      state[x + 5 * y] = rotated(moved, (((step + 1) * (step + 2)) / 2) % 64)
      moved = next
    }
    for (let row = 0; row < LANES; row += 5) {
      const lanes = state.slice(row, row + 5)
      for (let i = 0; i < 5; i += 1) state[row + i] = lanes[i]! ^ (~lanes[(i + 1) % 5]! & MASK & lanes[(i + 2) % 5]!)
    }
    state[0]! ^= constant
  }
}

/** 32 bytes; `suffix` is the first byte of the padding, 1 for Keccak-256 and 6 for SHA3-256. */
export const sponge256 = (message: Uint8Array, suffix: number): Uint8Array => {
  const padded = new Uint8Array((Math.floor(message.length / RATE_BYTES) + 1) * RATE_BYTES)
  padded.set(message)
  padded[message.length]! ^= suffix
  padded[padded.length - 1]! ^= 0x80
  const words = new DataView(padded.buffer)
  const state = new BigUint64Array(LANES)
  for (let block = 0; block < padded.length; block += RATE_BYTES) {
    for (let i = 0; i < RATE_BYTES / 8; i += 1) state[i]! ^= words.getBigUint64(block + i * 8, true)
    permute(state)
  }
  const hash = new DataView(new ArrayBuffer(32))
  for (let i = 0; i < 4; i += 1) hash.setBigUint64(i * 8, state[i]!, true)
  return new Uint8Array(hash.buffer)
}

/** The Keccak-256 hash of `message`, 32 bytes. */
export const keccak256 = (message: Uint8Array): Uint8Array => sponge256(message, 0x01)
