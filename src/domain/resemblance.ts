/** Which known name a name that is not known may have been meant for: of keys in a config, of variables in an environment. */

/** Names below this length are one slip apart at most: two slips would make one short word of any other. */
const SHORT = 6

/**
 * The closest of `known` that `name` resembles: the same but for case, or the same first letter and no more than two letters
 * too many, too few or swapped (one where the known name is short); one that is different counts as two, or "content" would
 * be "comment". None where `name` is known itself.
 */
export const resembling = <A extends string>(name: string, known: ReadonlyArray<A>): A | undefined => {
  if (known.some((candidate) => candidate === name)) return undefined
  const near = known
    .map((candidate) => ({ candidate, slips: slipsBetween(name.toLowerCase(), candidate.toLowerCase()) }))
    .filter(({ candidate, slips }) => slips <= (candidate.length < SHORT ? 1 : 2))
  return near.toSorted((a, b) => a.slips - b.slips)[0]?.candidate
}

/** Letters to insert, remove or swap, twice those to replace; infinite where the beginnings or the lengths say enough. */
const slipsBetween = (a: string, b: string): number => {
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
