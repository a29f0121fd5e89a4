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

/** The mix of several words: the common seed of many streams of random numbers. */
export interface Seed {
  readonly a: number
  readonly b: number
}

export const seedOf = (words: ReadonlyArray<number>): Seed =>
  words.reduce((seed: Seed, word) => {
    const a = mix(seed.a, word)
    return { a, b: mix(seed.b ^ a, word) }
  }, { a: 0x243f6a88, b: 0x85a308d3 })

/** One stream of random numbers: a seed and a word that distinguishes it from the seed's other streams. */
export class Random {
  private a: number
  private b: number
  private c: number
  private counter = 1

  constructor(seed: Seed, word: number) {
    this.a = mix(seed.a, word)
    this.b = mix(seed.b ^ this.a, word)
    this.c = mix(this.a, this.b)
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

  /** Random bytes from `start` to `end - 1` of `target`. */
  write(target: Uint8Array, start: number, end: number): void {
    let at = start
    for (; at + 4 <= end; at += 4) {
      const word = this.next()
      target[at] = word
      target[at + 1] = word >>> 8
      target[at + 2] = word >>> 16
      target[at + 3] = word >>> 24
    }
    for (; at < end; at += 1) target[at] = this.next()
  }

  /** Freshly allocated random bytes. */
  bytes(count: number): Uint8Array {
    const bytes = new Uint8Array(count)
    this.write(bytes, 0, count)
    return bytes
  }
}

/** A word that represents `text`, so that every column draws from a stream of its own. Source: FNV-1a. */
export const wordOf = (text: string): number => {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i += 1) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash
}
