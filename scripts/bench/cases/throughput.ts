/** Catch-up against a plain COPY of the same rows. */
import type { Bench, CaseResult } from "../bench.ts"
import type { LoadedStream } from "../flight/main.ts"
import { type Figures, medians } from "../stats.ts"
import { Comparer, figuresOf } from "./compare.ts"

/** Measures one shape of stream. */
export const throughput = async (
  bench: Bench,
  name: string,
  title: string,
  streams: ReadonlyArray<LoadedStream>
): Promise<ReadonlyArray<CaseResult>> => {
  await bench.flight.call("load", streams)
  const expected = await bench.flight.call("behave", {})
  const comparer = new Comparer(bench, expected)
  const rounds: Array<Figures> = []
  try {
    while (rounds.length < bench.options.rounds) rounds.push(figuresOf(await comparer.round()))
  } finally {
    await comparer.close()
  }
  const rows = expected.reduce((sum, table) => sum + table.rows, 0)
  return [{ name, title, rows, rounds, median: medians(rounds) }]
}
