/**
 * Pseudo-random numbers that depend on nothing but the words they are seeded with.
 *
 * Source: sfc32 of PractRand; the words are mixed with the finalizer of MurmurHash3.
 */

const mix = (state: number, word: number): number => {
  let h = Math.imul(state ^ word, 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) + 0x9e3779b9 | 0
}

export class Random {
  private a: number
  private b: number
  private c: number
  private counter = 1

  constructor(words: ReadonlyArray<number>) {
    let a = 0x243f6a88
    let b = 0x85a308d3
    for (const word of words) {
      a = mix(a, word)
      b = mix(b ^ a, word)
    }
    this.a = a
    this.b = b
    this.c = mix(a, b)
    for (let round = 0; round < 8; round += 1) this.next()
  }

  /** 32 random bits, unsigned. */
  next(): number {
    const t = (((this.a + this.b) | 0) + this.counter) | 0
    this.counter = (this.counter + 1) | 0
    this.a = this.b ^ (this.b >>> 9)
    this.b = (this.c + (this.c << 3)) | 0
    this.c = (((this.c << 21) | (this.c >>> 11)) + t) | 0
    return t >>> 0
  }

  /** An integer from 0 to `limit - 1`. */
  below(limit: number): number {
    return Math.floor((this.next() / 0x1_0000_0000) * limit)
  }

  /** True in `percent` of all cases. */
  chance(percent: number): boolean {
    return this.below(100) < percent
  }

  /** 64 random bits, unsigned. */
  next64(): bigint {
    return (BigInt(this.next()) << 32n) | BigInt(this.next())
  }

  /** Freshly allocated random bytes. */
  bytes(count: number): Uint8Array {
    const words = new Uint32Array((count + 3) >>> 2)
    for (let i = 0; i < words.length; i += 1) words[i] = this.next()
    return new Uint8Array(words.buffer, 0, count)
  }
}

/** A word that stands for `text`, so that every column draws from a stream of its own. Source: FNV-1a. */
export const wordOf = (text: string): number => {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i += 1) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash
}
