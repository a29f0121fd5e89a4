/** The composition of examples/with-electricsql, from Anvil to a browser: only ElectricSQL's own server is a stand-in. */
import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { cp, symlink } from "node:fs/promises"
import { join } from "node:path"
import type { Page } from "playwright-core"
import { startAmpsync } from "../support/ampsyncProcess.ts"
import { type Anvil, anvilUnavailable, startAnvil } from "../support/anvil.ts"
import { browserUnavailable, TestBrowser } from "../support/browser.ts"
import { startElectricStandIn } from "../support/electricStandIn.ts"
import { eventually } from "../support/eventually.ts"
import { addressOf, becomes } from "../support/health.ts"
import { temporaryDirectory } from "../support/temporaryDirectory.ts"
import { makeWorld } from "../support/world.ts"

const root = join(import.meta.dirname, "..", "..")
const example = join(root, "examples/with-electricsql")

const missing = browserUnavailable ?? anvilUnavailable

/** The page as its container serves it; gives its address. */
const servePage = Effect.fnUntraced(function*(electricUrl: string) {
  const folder = join(yield* temporaryDirectory, "page")
  yield* Effect.promise(async () => {
    await cp(join(example, "page"), folder, { recursive: true })
    await symlink(join(root, "node_modules"), join(folder, "node_modules"))
  })
  const child = yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn(process.execPath, ["serve.mjs"], {
        cwd: folder,
        env: { ELECTRIC_URL: electricUrl, HOST: "127.0.0.1", PORT: "0" },
        stdio: ["ignore", "pipe", "inherit"]
      })
    ),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )
  const [line] = yield* Effect.promise(() => once(child.stdout, "data") as Promise<[Buffer]>)
  return `http://127.0.0.1:${/port (\d+)/.exec(line.toString())![1]}/`
})

/** Runs traffic.mjs as its container does, until it ends or the scope closes. */
const startTraffic = ({ url }: Anvil, ...args: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const env = { RPC_URL: url.href }
      return spawn(process.execPath, [join(example, "traffic.mjs"), ...args], {
        env,
        stdio: ["ignore", "ignore", "inherit"]
      })
    }),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )

/** Runs it to its end. */
const runTraffic = Effect.fnUntraced(function*(anvil: Anvil, argument: string) {
  const child = yield* startTraffic(anvil, argument)
  const [code] = yield* Effect.promise(() => once(child, "exit"))
  assert.strictEqual(code, 0, argument)
})

const hasPending = ({ call }: Anvil) =>
  Effect.map(call("txpool_status"), (pool) => BigInt((pool as { readonly pending: string }).pending) > 0n)

const textOf = (page: Page, selector: string) =>
  Effect.promise(async () => (await page.locator(selector).allInnerTexts()).join("\n").replaceAll(/\s+/g, " "))

const shows = Effect.fnUntraced(function*(page: Page, selector: string, expected: RegExp) {
  let last = ""
  yield* eventually(
    () => `${selector} shows ${expected}; it shows:\n${last}`,
    Effect.map(textOf(page, selector), (text) => expected.test(last = text))
  )
})

describe.skipIf(missing !== undefined)(
  `the example with ElectricSQL${missing === undefined ? "" : ` (skipped: ${missing})`}`,
  () => {
    layer(TestBrowser.layer, { excludeTestServices: true, timeout: "60 seconds" })((it) => {
      it.effect("shows blocks as they are committed, and the blocks that a reorg replaces", () =>
        Effect.gen(function*() {
          const anvil = yield* startAnvil
          yield* runTraffic(anvil, "--check")
          // Not for the 20 seconds after which it makes a reorg by itself.
          yield* Effect.scoped(
            Effect.andThen(startTraffic(anvil), eventually("it sent a transaction", hasPending(anvil)))
          )
          yield* anvil.call("anvil_mine", 19)
          const world = yield* makeWorld({ dialect: "amp", evmRpc: anvil.url })
          const environment = { DATASET_MANIFEST: join(example, "config/amp.config.ts"), CDC_READY: "electric" }
          const publication = {
            CDC_PUBLICATION: `of_${world.database.schema}`,
            HEALTH_PORT: "0",
            HEALTH_HOST: "127.0.0.1"
          }
          const sync = yield* startAmpsync({ ...world.environment, ...environment, ...publication })
          yield* becomes(yield* addressOf(sync), [])
          const address = yield* servePage(yield* startElectricStandIn(world.database))
          const browser = yield* TestBrowser
          const page = yield* Effect.acquireRelease(
            Effect.promise(() => browser.newPage()),
            (page) => Effect.promise(() => page.close())
          )
          const wrong: Array<string> = []
          page.on("pageerror", (error) => wrong.push(String(error)))
          yield* Effect.promise(() => page.goto(address))
          yield* shows(page, "#state", /^20 blocks, complete up to 19$/)
          yield* shows(page, "#blocks", /^19 .* complete 18 /)
          yield* anvil.call("anvil_mine", 2)
          yield* shows(page, "#blocks", /^21 .* complete 20 /)
          const orphaned = yield* anvil.hashAt(21n)
          yield* runTraffic(anvil, "--reorg")
          yield* anvil.call("anvil_mine", 1)
          yield* shows(page, "#state", /^23 blocks, complete up to 22$/)
          yield* shows(page, "#replaced", new RegExp(`21 ${orphaned.slice(0, 12)}`))
          yield* shows(page, "#reorgs", /3 blocks from 19 on/)
          const hash = yield* anvil.hashAt(22n)
          yield* shows(
            page,
            "#blocks",
            new RegExp(`^22 .* ${hash.slice(0, 12)}\\.\\.\\.${hash.slice(-6)} .* complete 21 `)
          )
          assert.deepStrictEqual(wrong, [])
        }))
    })
  }
)
