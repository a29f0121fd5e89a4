import { assert, describe, it } from "@effect/vitest"
import { counterProblem, type Ledger, ledgerProblems } from "../../../src/domain/verify/ledger.ts"

const hash = (digit: string) => `0x${digit.repeat(64)}`

const sound: Ledger = {
  checkpoint: {
    network: "anvil",
    origin: 5n,
    history: [{ block: 7n, hash: hash("a") }, { block: 9n, hash: hash("b") }],
    unverifiedFrom: undefined
  },
  watermark: { block: 9n, hash: hash("b") },
  rows: 12n,
  provisionalRows: 2n,
  found: { rows: 12n, belowOrigin: 0n, aboveWatermark: 2n },
  badReorgs: 0n
}

const withHistory = (history: Ledger["checkpoint"]["history"]): Ledger => ({
  ...sound,
  checkpoint: { ...sound.checkpoint, history }
})

describe("ledgerProblems", () => {
  it("has nothing to report of a table that is as its bookkeeping records it", () => {
    assert.deepStrictEqual([...ledgerProblems(sound), counterProblem(sound)], [undefined])
  })

  const cases: ReadonlyArray<readonly [title: string, ledger: Ledger, problem: RegExp]> = [
    ["a watermark without history", withHistory([]), /no entry of the table/],
    [
      "a history that goes on above the watermark",
      { ...sound, watermark: { block: 7n, hash: hash("a") } },
      /block 7 with/
    ],
    ["another hash of the watermark", withHistory([{ block: 9n, hash: hash("c") }]), /newest entry/],
    [
      "entries below the first block",
      withHistory([{ block: 4n, hash: hash("c") }, ...sound.checkpoint.history]),
      /1 entries below/
    ],
    [
      "a hash that is none",
      withHistory([{ block: 6n, hash: "0x1" }, ...sound.checkpoint.history]),
      /1 entries whose hash/
    ],
    [
      "rows below the first block",
      { ...sound, found: { ...sound.found, belowOrigin: 3n } },
      /3 rows are below the first block, 5/
    ],
    [
      "provisional rows that are not counted",
      { ...sound, provisionalRows: 0n },
      /2 rows are above the watermark, and provisional_rows is 0/
    ],
    ["a wrong counter", { ...sound, rows: 11n }, /the table has 12 rows, and the counter "rows" is 11/],
    ["entries of reorgs that cannot be", { ...sound, badReorgs: 1n }, /_ampsync_reorgs has 1 entries/]
  ]
  for (const [title, ledger, problem] of cases) {
    it(`reports ${title}, and nothing else`, () => {
      const problems = [...ledgerProblems(ledger), ...[counterProblem(ledger) ?? []].flat()]
      assert.lengthOf(problems, 1)
      assert.match(problems[0]!, problem)
    })
  }
})
