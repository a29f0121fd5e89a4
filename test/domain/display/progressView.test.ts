import { assert, describe, it } from "@effect/vitest"
import { plain } from "../../../src/domain/display/Line.ts"
import { type Progress, progressView, type Size, tableCounts } from "../../../src/domain/display/progressView.ts"
import type { TableProgress } from "../../../src/domain/display/TableProgress.ts"
import { oneLine } from "../../../src/domain/display/textWidth.ts"
import type { Phase } from "../../../src/domain/TablePhase.ts"
import { columnsOf } from "../../doubles/Terminal.ts"

const table = (name: string, more: Partial<TableProgress & TableProgress["status"]> = {}): TableProgress => {
  const { behind = 0n, rowsBySecond = [0, 0], rowsPerSecond = 0, secondsLeft, ...status } = more
  return {
    status: {
      table: name,
      phase: "caught up",
      reason: undefined,
      rows: 10n,
      reorgs: 0,
      watermark: 9n,
      lastBlock: 9n,
      hasConnected: true,
      ...status
    },
    rowsPerSecond,
    rowsBySecond,
    behind: "behind" in more ? more.behind : behind,
    secondsLeft
  }
}

const all: Progress["all"] = { rowsPerSecond: 59_860, rowsBySecond: [1, 2] }

const drawn = (tables: ReadonlyArray<TableProgress>, size: Size, heading: Progress["heading"] = []) =>
  progressView({ heading, tables, all }, size).map(plain)

const three = [
  table("blocks", { rows: 18_123_457n, rowsPerSecond: 1, reorgs: 1 }),
  table("transactions", {
    phase: "catching up",
    rows: 2_123_456_789n,
    rowsPerSecond: 48_859.4,
    behind: 1_200_345n,
    secondsLeft: 754
  }),
  table("logs", { phase: "catching up", rows: 143_978n, rowsPerSecond: 11_000, behind: undefined })
]

describe("the progress on a terminal", () => {
  it("has the figures of each table and of all at 80 columns", () => {
    assert.deepStrictEqual(drawn(three, { columns: 80, rows: 24 }, [["example ", ...tableCounts(three)]]), [
      "─".repeat(79),
      "example 3 tables: 2 catching up, 1 caught up",
      "  table                  rows  rows/s     behind      ETA  reorgs  state",
      "  blocks           18,123,457       1          0        -       1  caught up",
      "  transactions  2,123,456,789  48,859  1,200,345   13 min       0  catching up",
      "  logs                143,978  11,000    unknown  unknown       0  catching up",
      "  total of 3    2,141,724,224  59,860    unknown  unknown       1"
    ])
  })

  it("has the last minute and the watermark where there is room", () => {
    const [heading, blocks] = drawn([table("blocks", { rowsBySecond: [0, 1, 2, 4] })], { columns: 200, rows: 50 })
      .slice(1)
    assert.strictEqual(
      heading,
      "  table      rows  rows/s  rows in the last minute         watermark   behind      ETA  reorgs  state"
    )
    assert.strictEqual(
      blocks,
      "  blocks       10       0   ▂▄█                                    9        0        -       0  caught up"
    )
  })

  it("has what matters most at 40 columns", () => {
    assert.deepStrictEqual(drawn(three, { columns: 40, rows: 24 }).slice(1), [
      "  table          behind  state",
      "  blocks              0  caught up",
      "  transactions     1.2M  catching up",
      "  logs          unknown  catching up",
      "  total of 3    unknown"
    ])
  })

  it("shows an unknown time as unknown, never as 0, and none for a table that has caught up", () => {
    const ofTable = (more: Partial<TableProgress & TableProgress["status"]>) =>
      drawn([table("t", more)], { columns: 80, rows: 24 }).at(-1)!
    assert.include(ofTable({ phase: "catching up", behind: 0n }), "      0  unknown ")
    assert.include(ofTable({ phase: "catching up", behind: 5n, secondsLeft: 0.2 }), "      5      1 s ")
    assert.include(ofTable({ phase: "caught up" }), "      0        - ")
    assert.include(ofTable({ phase: "parked", behind: undefined }), "unknown        - ")
  })

  it("has no rows and no watermark of a table whose own are not read yet", () => {
    const line = drawn([table("t", { phase: "starting", hasConnected: false, rows: 0n, watermark: undefined })], {
      columns: 120,
      rows: 24
    }).at(-1)!
    assert.match(line, /^ {2}t +- +0 +- +0 +- +0 {2}starting$/)
  })

  it("shows why tables are not synced, the same reason once, in at most two lines", () => {
    const down =
      "no connection to 127.0.0.1:5432; check that PostgreSQL answers there and that a firewall lets it through"
    const tables = [
      ...["a", "b", "c", "d"].map((name) => table(name, { phase: "retrying", reason: `${down}; ${down}` })),
      table("e", { phase: "parked", reason: "its columns\nchanged" })
    ]
    assert.deepStrictEqual(drawn(tables, { columns: 80, rows: 24 }).slice(-3), [
      "  parked: e: its columns changed",
      "  retrying: a, b, c and 1 other: no connection to 127.0.0.1:5432; check that",
      "      PostgreSQL answers there and that a firewall lets it through; no …"
    ])
  })

  it("has the tables that matter first where not all have room, and how many more there are", () => {
    const many = [
      ...Array.from({ length: 30 }, (_, i) => table(`fine_${i}`)),
      table("slow", { phase: "catching up", behind: 5n }),
      table("slower", { phase: "catching up", behind: 5_000n }),
      table("broken", { phase: "parked" })
    ]
    const lines = drawn(many, { columns: 80, rows: 12 })
    assert.deepStrictEqual(lines.map((line) => line.trim().split(/ {2,}/)[0]), [
      "─".repeat(79),
      "table",
      "broken",
      "slower",
      "slow",
      "and 30 more: 30 caught up",
      "total of 33"
    ])
    const fits = drawn(many.slice(-3), { columns: 80, rows: 12 })
    assert.deepStrictEqual(fits.slice(2, 5).map((line) => line.trim().split(/ {2,}/)[0]), ["slow", "slower", "broken"])
  })

  it("truncates long and wide names with an ellipsis", () => {
    const lines = drawn([table("转账事件".repeat(12)), table("a".repeat(63))], { columns: 80, rows: 24 })
    assert.match(lines[2]!, /^ {2}转账事件[转账事件]*…[转账事]*件 /)
    assert.match(lines[3]!, /^ {2}a{10,}…a+ /)
  })

  it("is never wider or higher than the terminal, for any tables and any size", () => {
    const numbers = randomNumbers(7)
    const pick = <A>(from: ReadonlyArray<A>): A => from[Math.floor(numbers() * from.length)]!
    const phases: ReadonlyArray<Phase> = [
      "starting",
      "catching up",
      "caught up",
      "searching",
      "diverged",
      "retrying",
      "stalled",
      "parked",
      "standby"
    ]
    const text = (length: number) =>
      Array.from({ length: Math.floor(numbers() * length) }, () => pick([..."abc_ 转テ한…\n\t\u001b"])).join("")
    const big = () => BigInt(Math.floor(10 ** (numbers() * 16)))
    for (let run = 0; run < 100; run += 1) {
      const tables = Array.from({ length: Math.floor(numbers() * 50) }, () =>
        table(text(70), {
          phase: pick(phases),
          reason: pick([undefined, text(300)]),
          rows: big(),
          reorgs: Math.floor(numbers() * 2_000),
          watermark: pick([undefined, big()]),
          rowsPerSecond: Number(big()),
          rowsBySecond: Array.from({ length: 60 }, () => Math.floor(numbers() * 100)),
          behind: pick([undefined, 0n, big()]),
          secondsLeft: pick([undefined, Number(big())])
        }))
      const size = { columns: 1 + Math.floor(numbers() * 220), rows: 1 + Math.floor(numbers() * 60) }
      const lines = drawn(tables, size, [[oneLine(text(300))]])
      assert.isAtMost(lines.length, Math.max(1, size.rows - 1), JSON.stringify(size))
      for (const line of lines) {
        assert.isAtMost(columnsOf(line), Math.max(1, size.columns - 1), `${JSON.stringify(size)}: ${line}`)
        // oxlint-disable-next-line eslint/no-control-regex
        assert.notMatch(line, /[\u0000-\u001f]/)
      }
    }
  })
})

/** The same numbers from 0 to 1 in every run. Source: the minimal standard generator of Park and Miller. */
const randomNumbers = (seed: number) => {
  let state = seed
  return () => (state = state * 48_271 % 2_147_483_647) / 2_147_483_647
}
