/** The judge and the drawing of `npm run soak`, with recordings that were not recorded. */
import { assert, describe, it } from "@effect/vitest"
import { judge, slopeOf } from "../../scripts/soak/judge.ts"
import { plot } from "../../scripts/soak/plot.ts"
import type { Recording, Sample } from "../../scripts/soak/samples.ts"

const MEBIBYTE = 1024 * 1024
const COUNT = 240

/** Two hours in which memory goes up and down, and nothing grows but the chain. */
const sampleAt = (index: number): Sample => ({
  kind: "sample",
  seconds: index * 30,
  rss: (200 + index % 20) * MEBIBYTE,
  heap: (60 + index % 30) * MEBIBYTE,
  external: (8 + index % 3) * MEBIBYTE,
  descriptors: 30 + index % 3,
  cpuSeconds: index,
  loopDelaySeconds: 0.02,
  connections: 6 + index % 2,
  lagBlocks: index % 5,
  block: index * 60,
  rows: index * 2000,
  reorgs: index,
  bookkeepingRows: {
    _ampsync_checkpoints: 6,
    _ampsync_watermarks: 300,
    _ampsync_reorgs: Math.min(6000, index * 200),
    _ampsync_states: 6,
    _ampsync_writers: 1
  },
  bookkeepingBytes: 2 * MEBIBYTE,
  deadRows: index,
  ownRss: 0
})

const recording = (change: (index: number) => Partial<Sample> = () => ({})): Recording => ({
  start: {
    kind: "start",
    at: "2026-11-30T00:00:00.000Z",
    command: "",
    seed: 1,
    minutes: 120,
    tables: ["a", "b", "c", "d", "e", "f"],
    retentionBlocks: 128
  },
  samples: Array.from({ length: COUNT }, (_, index) => ({ ...sampleAt(index), ...change(index) })),
  actions: [],
  end: { kind: "end", seconds: 7200, violations: [], rowsCompared: 480_000, answers: 1, events: 1 }
})

const growing = (of: Recording): ReadonlyArray<string> => judge(of).flatMap(({ isFlat, what }) => isFlat ? [] : [what])

const rows = (more: Readonly<Record<string, number>>) => ({
  bookkeepingRows: { ...sampleAt(0).bookkeepingRows, ...more }
})

describe("npm run soak", () => {
  it("computes the slope by least squares", () => {
    const points = [0, 1, 2, 3].map((x) => ({ x, y: 5 + 2 * x + (x % 2 === 0 ? 1 : -1) }))
    assert.closeTo(slopeOf(points), 1.6, 1e-9)
    assert.strictEqual(slopeOf([{ x: 1, y: 1 }]), 0)
  })

  it("finds nothing that grows where memory goes up and down around one value", () => {
    assert.deepStrictEqual(growing(recording()), [])
  })

  it("does not judge the warm-up", () => {
    assert.deepStrictEqual(
      growing(recording((index) => index < 60 ? { rss: index * MEBIBYTE, descriptors: 0 } : {})),
      []
    )
  })

  it.each<readonly [what: string, change: (index: number) => Partial<Sample>]>([
    ["resident memory", (index) => ({ rss: (200 + index % 20 + index / 4) * MEBIBYTE })],
    ["heap in use", (index) => ({ heap: (60 + index % 30 + index / 12) * MEBIBYTE })],
    ["memory of buffers", (index) => ({ external: (8 + index % 3 + index / 100) * MEBIBYTE })],
    ["file descriptors", (index) => ({ descriptors: 30 + index % 3 + Math.floor(index / 60) })],
    ["connections to PostgreSQL", (index) => ({ connections: index < 200 ? 6 : 7 })],
    ["rows of _ampsync_checkpoints", () => rows({ _ampsync_checkpoints: 7 })],
    ["rows of _ampsync_watermarks", (index) => rows({ _ampsync_watermarks: 300 + index * 4 })],
    ["rows of _ampsync_reorgs", (index) => rows({ _ampsync_reorgs: index * 30 })],
    ["rows of _ampsync_states", () => rows({ _ampsync_states: 7 })],
    ["rows of _ampsync_writers", (index) => rows({ _ampsync_writers: 1 + Math.floor(index / 239) })],
    ["size of the bookkeeping tables, last quarter", (index) => ({ bookkeepingBytes: (2 + index / 100) * MEBIBYTE })],
    ["blocks behind the source", (index) => ({ lagBlocks: index < 170 ? 2 : 20 })]
  ])("names %s, and nothing else, where it grows", (what, change) => {
    assert.deepStrictEqual(growing(recording(change)), [what])
  })

  it("names rows that differ at the end, and a recording without an end", () => {
    const { end, ...open } = recording()
    assert.deepStrictEqual(growing({ ...open, end: { ...end!, violations: ["logs: missing: 1"] } }), [
      "rows at the end"
    ])
    assert.deepStrictEqual(growing({ ...open, end: undefined }), ["rows at the end"])
  })

  it("draws what was measured, and leaves out what this machine cannot measure", () => {
    const { samples, ...rest } = recording()
    const all = plot({ samples, ...rest })
    assert.strictEqual(all.match(/class="title"/g)?.length, 9)
    assert.strictEqual(all.match(/class="line"/g)?.length, 11)
    const unmeasured = samples.map(({ descriptors: _, ...sample }) => sample)
    assert.strictEqual(plot({ samples: unmeasured, ...rest }).match(/class="line" d="M/g)?.length, 10)
  })
})
