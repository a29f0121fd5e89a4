/** Compares builds of the product: a round of the one, then a round of the other, each with a floor of its own. */
import type { Bench, CaseResult } from "./bench.ts"
import { medians } from "./stats.ts"

/** Runs `run` for every build; names of results of several builds have the suffix `#1`, `#2`. */
export const forEachBuild = async (
  bench: Bench,
  run: (bench: Bench) => Promise<ReadonlyArray<CaseResult>>
): Promise<ReadonlyArray<CaseResult>> => {
  const { options } = bench
  if (options.builds.length === 1) return await run(bench)
  const merged = new Map<string, CaseResult>()
  for (let round = 0; round < options.rounds; round += 1) {
    for (const [index, main] of options.builds.entries()) {
      const results = await run({ ...bench, main, options: { ...options, rounds: 1 } })
      for (const result of results) {
        const name = `${result.name} #${index + 1}`
        const rounds = [...merged.get(name)?.rounds ?? [], ...result.rounds]
        merged.set(name, { ...result, name, rounds, median: medians(rounds) })
      }
    }
  }
  return [...merged.values()].toSorted((a, b) => a.name < b.name ? -1 : 1)
}
