/** Suggests the known name that an unknown one was meant for: a key of the config, a variable of the environment. */

/** Names below this length may have one typo only: two typos turn any short word into another. */
const SHORT = 6

/**
 * Returns the closest of `known` to `name`: one that differs in case only, or has the same first letter and at most two letters
 * too many, too few or swapped (one where the known name is short). A different letter counts as two, or "content" would
 * be "comment". Undefined where `name` is known itself, or none is close.
 */
export const didYouMean = <A extends string>(name: string, known: ReadonlyArray<A>): A | undefined => {
  if (known.some((candidate) => candidate === name)) return undefined
  const near = known
    .map((candidate) => ({ candidate, typos: typosBetween(name.toLowerCase(), candidate.toLowerCase()) }))
    .filter(({ candidate, typos }) => typos <= (candidate.length < SHORT ? 1 : 2))
  return near.toSorted((a, b) => a.typos - b.typos)[0]?.candidate
}

/** The number of letters to insert, remove or swap, and twice those to replace; infinite where first letters or lengths exclude a typo. */
const typosBetween = (a: string, b: string): number => {
  if (a[0] !== b[0] || Math.abs(a.length - b.length) > 2) return Infinity
  const rows = [Array.from({ length: b.length + 1 }, (_, j) => j)]
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i]
    const above = rows[i - 1]!
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = above[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 2)
      const isSwap = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      const swapped = isSwap ? rows[i - 2]![j - 2]! + 1 : Infinity
      row.push(Math.min(replaced, swapped, above[j]! + 1, row[j - 1]! + 1))
    }
    rows.push(row)
  }
  return rows[a.length]![b.length]!
}
