/** The demo as a user runs it: the program in `dist`, with a PostgreSQL and a simulator of its own. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { readdir } from "node:fs/promises"
import { join } from "node:path"
import { Client } from "pg"
import { temporaryDirectory } from "../support/temporaryDirectory.ts"

const main = join(import.meta.dirname, "..", "..", "dist", "main.js")
const BOUND = 90_000

interface Demo {
  readonly output: () => string
  readonly prints: (pattern: RegExp) => Effect.Effect<RegExpExecArray>
  readonly interrupt: Effect.Effect<void>
  /** The exit code, and the milliseconds from the last interrupt to the exit. */
  readonly ended: Effect.Effect<{ readonly code: number | null; readonly stoppedWithin: number }>
  /** What is left in its directory of temporary files. */
  readonly leftovers: Effect.Effect<ReadonlyArray<string>>
}

/** Starts `demo` in a process group of its own, as a terminal does. */
const startDemo = Effect.fnUntraced(function*(...args: ReadonlyArray<string>) {
  const directory = yield* temporaryDirectory
  const child = yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn(process.execPath, [main, "demo", ...args], {
        stdio: ["ignore", "pipe", "pipe"],
        detached: true,
        env: { ...process.env, TMPDIR: directory, FORCE_COLOR: "0" }
      })
    ),
    (running) => Effect.sync(() => void running.kill("SIGKILL"))
  )
  let output = ""
  let interruptedAt = 0
  const waiting = new Set<() => void>()
  const exited = new Promise<{ code: number | null; stoppedWithin: number }>((resolve) => {
    child.once("close", (code) => resolve({ code, stoppedWithin: performance.now() - interruptedAt }))
  })
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text
      for (const check of waiting) check()
    })
  }
  const demo: Demo = {
    output: () => output,
    prints: (pattern) =>
      Effect.callback((resume) => {
        const check = () => {
          const found = pattern.exec(output)
          if (found !== null) resume(Effect.succeed(found))
        }
        waiting.add(check)
        check()
        child.once("close", () => resume(Effect.die(new Error(`it ended before it printed ${pattern}:\n${output}`))))
        return Effect.sync(() => void waiting.delete(check))
      }),
    interrupt: Effect.sync(() => {
      interruptedAt = performance.now()
      process.kill(-child.pid!, "SIGINT")
    }),
    ended: Effect.promise(() => exited),
    leftovers: Effect.promise(() => readdir(directory))
  }
  return demo
})

const QUICK = ["--blocks", "300", "--block-time", "40ms", "--reorg-every", "6", "--reorg-depth", "3"]

const connectionString = /^ {2}(postgresql:\/\/\S+)$/m

const execute = (url: string, statement: string) =>
  Effect.acquireUseRelease(
    Effect.promise(async () => {
      const client = new Client({ connectionString: url })
      await client.connect()
      return client
    }),
    (client) => Effect.promise(() => client.query(statement)),
    (client) => Effect.promise(() => client.end())
  )

const canConnect = (url: string) =>
  Effect.promise(async () => {
    const client = new Client({ connectionString: url })
    return client.connect().then(() => client.end().then(() => true), () => false)
  })

/** The figures of both sides, per table. */
const comparisons = (output: string) =>
  ["blocks", "transactions", "logs"].map((table) => {
    const both = new RegExp(
      `^ +${table} +PostgreSQL +([\\d,]+) +([0-9a-f]+) +(\\S+)\\s+canonical chain +([\\d,]+) +([0-9a-f]+)`,
      "m"
    ).exec(output)
    return { table, postgres: both?.slice(1, 3), verdict: both?.[3], chain: both?.slice(4, 6) }
  })

describe("demo", () => {
  for (const dialect of ["amp", "nozzle"]) {
    it.live(
      `ends by itself with equal counts and hashes after history and reorgs (${dialect})`,
      () =>
        Effect.gen(function*() {
          const demo = yield* startDemo("--until-synced", "--dialect", dialect, ...QUICK)
          const { code } = yield* demo.ended
          assert.strictEqual(code, 0, demo.output())
          assert.match(demo.output(), /Reorg: the chain replaces blocks \d+ to \d+ by new blocks \d+ to \d+/)
          // oxlint-disable-next-line eslint/no-control-regex
          assert.notMatch(demo.output(), /\u001b/)
          for (const { chain, postgres, table, verdict } of comparisons(demo.output())) {
            assert.strictEqual(verdict, "equal", `${table}\n${demo.output()}`)
            assert.deepStrictEqual(postgres, chain)
            assert.isAtLeast(Number(postgres![0]!.replaceAll(",", "")), 300)
          }
          assert.deepStrictEqual(yield* demo.leftovers, [])
        }),
      BOUND
    )
  }

  it.live(
    "ends with exit code 1 and names the table when a single value in PostgreSQL is not that of the chain",
    () =>
      Effect.gen(function*() {
        const demo = yield* startDemo("--until-synced", ...QUICK)
        const [, url] = yield* demo.prints(connectionString)
        yield* demo.prints(/^Live tip/m)
        yield* execute(url!, `UPDATE logs SET log_index = log_index + 1 WHERE _block_num < 10 AND _row_index = 0`)
        const { code } = yield* demo.ended
        assert.strictEqual(code, 1, demo.output())
        assert.deepStrictEqual(comparisons(demo.output()).map(({ verdict }) => verdict), [
          "equal",
          "equal",
          "DIFFERENT"
        ])
        const [, , logs] = comparisons(demo.output())
        assert.strictEqual(logs?.postgres?.[0], logs?.chain?.[0])
        assert.include(demo.output(), "PostgreSQL differs from the chain in logs")
      }),
    BOUND
  )

  it.live(
    "shows a connection string, a query and an address of the status that work, and is gone within 5 s of Ctrl-C",
    () =>
      Effect.gen(function*() {
        const demo = yield* startDemo(...QUICK)
        const [, url] = yield* demo.prints(connectionString)
        yield* demo.prints(/^Live tip/m)
        const [, query] = yield* demo.prints(/consistent:\n((?: {2}.*\n)+?.*;)\n/)
        const { rows } = yield* execute(url!, query!)
        assert.lengthOf(rows, 5)
        const [, status] = yield* demo.prints(/in a browser:\n {2}(http:\S+\/)\n/)
        for (const [path, content] of [["", "<html"], ["status", "\"transactions\""]] as const) {
          const answer = yield* Effect.promise(() => fetch(`${status}${path}`))
          assert.include(yield* Effect.promise(() => answer.text()), content)
        }
        const [, first, last, newFirst, newLast] = yield* demo.prints(
          /Reorg: the chain replaces blocks (\d+) to (\d+) by new blocks (\d+) to (\d+)/
        )
        assert.deepStrictEqual([newFirst, Number(newLast)], [first, Number(last) + 1])
        yield* demo.interrupt
        const { code, stoppedWithin } = yield* demo.ended
        assert.strictEqual(code, 0, demo.output())
        assert.isBelow(stoppedWithin, 20_000)
        assert.isFalse(yield* canConnect(url!))
        assert.deepStrictEqual(yield* demo.leftovers, [])
      }),
    BOUND
  )

  it.live("leaves nothing behind when Ctrl-C comes while PostgreSQL is starting", () =>
    Effect.gen(function*() {
      const demo = yield* startDemo(...QUICK)
      yield* demo.prints(/Ampsync demo/)
      yield* demo.interrupt
      const { code, stoppedWithin } = yield* demo.ended
      assert.strictEqual(code, 0, demo.output())
      assert.isBelow(stoppedWithin, 20_000)
      assert.deepStrictEqual(yield* demo.leftovers, [])
    }), BOUND)
})
