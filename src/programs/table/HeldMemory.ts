/** The memory of everything that waits for confirmations, of all tables together (I8). */

export interface HeldMemory {
  /** Whether the bound leaves room for more. */
  readonly hasRoom: () => boolean
  /** Takes `bytes` more; fewer where it is negative. */
  readonly take: (bytes: number) => void
  /** Calls `listener` whenever something was given back, until the returned function is called. */
  readonly onFreed: (listener: () => void) => () => void
}

export const makeHeldMemory = (limitBytes: number): HeldMemory => {
  const listeners = new Set<() => void>()
  let used = 0
  return {
    hasRoom: () => used < limitBytes,
    take: (bytes) => {
      used += bytes
      if (bytes < 0) { for (const listener of listeners) listener() }
    },
    onFreed: (listener) => {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    }
  }
}
