/** The status page of the real program, opened in a real browser. */
import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import type { BrowserContextOptions, Page } from "playwright-core"
import { committed, connected } from "../doubles/statusEvents.ts"
import { type AmpsyncProcess, startAmpsync } from "../support/ampsyncProcess.ts"
import { browserUnavailable, TestBrowser } from "../support/browser.ts"
import { openEvents } from "../support/eventStream.ts"
import { eventually } from "../support/eventually.ts"
import { healthAddress } from "../support/health.ts"
import { config, ready, serving } from "../support/servingHealth.ts"
import { makeWorld, type World } from "../support/world.ts"

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8")

const start = (world: World, port = "0") =>
  startAmpsync({ ...world.environment, HEALTH_PORT: port, HEALTH_HOST: "127.0.0.1" })

const addressOf = (process: AmpsyncProcess) =>
  Effect.map(process.prints(/Health endpoints: [^\n]+\n/), () => healthAddress(process.output())!)

/** Opens the page; `wrong` collects errors, violations of its policy, and requests that leave its server. */
const open = Effect.fnUntraced(function*(address: string, options: BrowserContextOptions = {}) {
  const browser = yield* TestBrowser
  const context = yield* Effect.acquireRelease(
    Effect.promise(() => browser.newContext({ viewport: { width: 1280, height: 900 }, ...options })),
    (context) => Effect.promise(() => context.close())
  )
  const page = yield* Effect.promise(() => context.newPage())
  const wrong: Array<string> = []
  // What fails while the server is away is no mistake of the page.
  const isExpected = (text: string) => /net::ERR_(CONNECTION|INCOMPLETE|EMPTY|ABORTED)/.test(text)
  page.on(
    "console",
    (message) => message.type() === "error" && !isExpected(message.text()) && wrong.push(message.text())
  )
  page.on("pageerror", (error) => wrong.push(String(error)))
  page.on("request", (request) => {
    const url = request.url()
    if (!url.startsWith(`http://${address}/`) && !url.startsWith("data:")) wrong.push(`asks for ${url}`)
  })
  yield* Effect.promise(() =>
    page.addInitScript(`addEventListener("securitypolicyviolation", (event) => console.error(event.violatedDirective))`)
  )
  if (options.javaScriptEnabled !== false) yield* Effect.promise(() => page.clock.install())
  yield* Effect.promise(() => page.goto(`http://${address}/`))
  return { page, wrong }
})

/** What a person reads; a script that is blocked for a moment gives the text of the moment after it. */
const textOf = (page: Page, selector: string) =>
  Effect.promise(async () => (await page.locator(selector).allInnerTexts()).join("\n").replaceAll(/\s+/g, " "))

const shows = Effect.fnUntraced(function*(page: Page, selector: string, expected: string | RegExp) {
  let last = ""
  yield* eventually(
    () => `${selector} shows ${expected}; it shows:\n${last}`,
    Effect.map(textOf(page, selector), (text) => {
      last = text
      return typeof expected === "string" ? text.includes(expected) : expected.test(text)
    })
  )
})

const row = (table: string) => `table.tables tbody tr:has(th:text-is("${table}"))`

interface Violation {
  readonly id: string
  readonly nodes: ReadonlyArray<{ readonly html: string; readonly failureSummary: string }>
}

/** What axe finds with every rule it has on by default, in both schemes. */
const violations = Effect.fnUntraced(function*(page: Page, widths: ReadonlyArray<number>) {
  const found: Array<string> = []
  for (const colorScheme of ["light", "dark"] as const) {
    for (const width of widths) {
      const results = yield* Effect.promise(async () => {
        await page.emulateMedia({ colorScheme })
        await page.setViewportSize({ width, height: 900 })
        const overflow = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
        if (Number(overflow) > 0) found.push(`${width} px: ${overflow} px too wide`)
        await page.evaluate(`${axe}; undefined`)
        return await page.evaluate("axe.run(document, { resultTypes: ['violations'] })") as {
          violations: ReadonlyArray<Violation>
        }
      })
      for (const { id, nodes } of results.violations) {
        found.push(
          ...nodes.map(({ failureSummary, html }) => `${colorScheme}, ${width} px: ${id}: ${html}\n${failureSummary}`)
        )
      }
    }
  }
  return found
})

describe.skipIf(browserUnavailable !== undefined)(
  `the status page in a browser${browserUnavailable === undefined ? "" : ` (${browserUnavailable})`}`,
  () => {
    layer(TestBrowser.layer, { excludeTestServices: true, timeout: "60 seconds" })((it) => {
      it.effect("follows a running sync without a reload, shows what is wrong, and breaks no rule of its own or of axe", () =>
        Effect.gen(function*() {
          const world = yield* makeWorld({ dialect: "amp", blocks: 30 })
          yield* world.database.query("CREATE TABLE transactions (mine int)")
          const address = yield* addressOf(yield* start(world))
          const { page, wrong } = yield* open(address)
          yield* shows(page, "header", "live")
          yield* shows(page, row("logs"), "caught up")
          yield* shows(page, row("blocks"), /caught up.*Rows?.*30|caught up.* 30 /)
          yield* shows(page, "h1", "1 parked, 2 caught up")
          yield* shows(page, row("transactions"), "a relation of this name exists that ampsync did not create")
          yield* shows(page, ".reasons", "table 'transactions' is parked")
          assert.match(yield* Effect.promise(() => page.title()), /^✕ 1 parked/)

          yield* Effect.promise(() => page.evaluate("globalThis.isSamePage = true"))
          world.simulator.mine(5)
          yield* shows(page, row("blocks"), " 35 ")
          world.simulator.reorg(3)
          yield* shows(page, "table.reorgs", /(blocks|logs) 32 to 34 3 blocks/)
          assert.strictEqual(yield* Effect.promise(() => page.evaluate("globalThis.isSamePage")), true)

          assert.deepStrictEqual(yield* violations(page, [320, 1280]), [])
          assert.deepStrictEqual(wrong, [])
        }))

      it.effect("shows plainly that its process hangs, is gone or was stopped, and goes on by itself when there is one again", () =>
        Effect.gen(function*() {
          const world = yield* makeWorld({
            dialect: "amp",
            blocks: 30,
            queries: { blocks: "SELECT * FROM anvil.blocks" }
          })
          const first = yield* start(world)
          const address = yield* addressOf(first)
          const { page, wrong } = yield* open(address)
          yield* shows(page, row("blocks"), "caught up")
          assert.strictEqual(yield* textOf(page, "#lost"), "")

          yield* first.kill("SIGSTOP")
          yield* Effect.promise(() => page.clock.fastForward("00:15"))
          const lost = /^Connection to ampsync lost since \d\d:\d\d:\d\d; what is below is old$/
          yield* shows(page, "#lost", lost)
          yield* first.kill("SIGCONT")
          yield* shows(page, "header", "live")
          assert.strictEqual(yield* textOf(page, "#lost"), "")

          yield* first.kill("SIGKILL")
          yield* shows(page, "#lost", lost)
          assert.match(yield* Effect.promise(() => page.title()), /^✕ Connection lost/)
          const filter = yield* Effect.promise(() =>
            page.evaluate("getComputedStyle(document.querySelector('main')).filter")
          )
          assert.strictEqual(filter, "grayscale(1)")
          const frozen = yield* textOf(page, "main")
          yield* Effect.promise(() => page.clock.fastForward("10:00"))
          assert.strictEqual(yield* textOf(page, "main"), frozen)
          assert.deepStrictEqual(yield* violations(page, [1280]), [])

          const second = yield* start(world, address.split(":")[1]!)
          yield* shows(page, "header", "live")
          yield* shows(page, row("blocks"), "caught up")
          assert.match(yield* Effect.promise(() => page.title()), /^✓ Table blocks is caught up/)

          // An open stream does not delay a stop.
          const asked = performance.now()
          yield* second.kill("SIGTERM")
          const { code } = yield* second.exited
          assert.strictEqual(code, 0, second.output())
          assert.isBelow(performance.now() - asked, 5_000)
          yield* shows(page, "#lost", lost)
          assert.deepStrictEqual(wrong, [])
        }))

      it.effect("shows names and messages as text, reports states to a screen reader, and keeps the focus", () =>
        Effect.gen(function*() {
          const { address, recorder } = yield* serving()
          const hostile = `<script>alert(1)</script><img src=x onerror=alert(2)>`
          yield* recorder.begin([hostile])
          yield* recorder.activated({ ...config, dataset: hostile, tables: [hostile] })
          yield* recorder.record(hostile, connected())
          const { page, wrong } = yield* open(address)
          yield* shows(page, "header", "live")
          yield* shows(page, "tbody th", hostile)

          const focused = Effect.promise(async () => {
            await page.keyboard.press("Tab")
            return await page.evaluate(
              "document.activeElement.textContent + ' ' + getComputedStyle(document.activeElement).outlineStyle"
            )
          })
          assert.deepStrictEqual([yield* focused, yield* focused, yield* focused, yield* focused], [
            "status solid",
            "readyz solid",
            "metrics solid",
            "openapi.json solid"
          ])
          const changes = page.locator("[role=status][aria-live=polite]")
          yield* recorder.record(hostile, committed({ rowsAdded: 1_000 }))
          yield* shows(page, "tbody", "1,040")
          assert.strictEqual(yield* Effect.promise(() => changes.textContent()), "")
          yield* recorder.record(hostile, { _tag: "Parked", reason: `${hostile} is refused` })
          yield* shows(page, "tbody", "parked")
          assert.strictEqual(
            yield* Effect.promise(() => changes.textContent()),
            `Table ${hostile} is parked: ${hostile} is refused`
          )
          assert.strictEqual(
            yield* Effect.promise(() => page.evaluate("document.activeElement.textContent")),
            "openapi.json"
          )
          assert.strictEqual(yield* Effect.promise(() => page.evaluate("document.getAnimations().length")), 0)
          assert.deepStrictEqual(wrong, [])
        }))

      it.effect("shows one moment without JavaScript, and why it cannot follow where too many do", () =>
        Effect.gen(function*() {
          const { address } = yield* ready
          const { page: still } = yield* open(address, { javaScriptEnabled: false })
          yield* shows(still, "h1", "Table logs is catching up")
          yield* shows(still, "header", /as of \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC/)
          yield* shows(still, "footer", "Without JavaScript this page shows one moment")

          yield* Effect.forEach(Array.from({ length: 32 }), () => openEvents(address))
          const { page, wrong } = yield* open(address)
          yield* shows(page, "header", "Not more than 32 may watch at the same time")
          yield* shows(page, "#lost", "what is below is old")
          assert.deepStrictEqual(wrong.filter((text) => !text.includes("503")), [])
        }))
    })
  }
)
