/**
 * Takes the pictures of docs/monitoring.md: `npm run screenshots`.
 *
 * Two syncs of the built program run for a minute against simulated chains and an embedded PostgreSQL, one as it should be and one
 * with tables that need somebody. What is measured differs from run to run.
 */
import { NodeServices } from "@effect/platform-node"
import { Effect, Redacted } from "effect"
import { mkdir, stat, writeFile } from "node:fs/promises"
import { join } from "node:path"
import pg from "pg"
import type { BrowserContextOptions, Page } from "playwright-core"
import { layer as embeddedPostgres } from "../src/demo/embedded-postgres/layer.ts"
import { EmbeddedPostgres } from "../src/demo/EmbeddedPostgres.ts"
import { type SimulatorOptions, startSimulator } from "../src/simulator/Simulator.ts"
import { startAmpsync } from "../test/support/ampsyncProcess.ts"
import { TestBrowser } from "../test/support/browser.ts"
import { healthAddress } from "../test/support/health.ts"
import { temporaryDirectory } from "../test/support/temporaryDirectory.ts"

const images = join(import.meta.dirname, "..", "docs", "images")

/** What a page with pictures may make a reader load. */
const MAX_BYTES = 150_000

const manifest = {
  name: "mainnet",
  namespace: "acme",
  network: "anvil",
  version: "1.4.0",
  dependencies: { anvil: "_/anvil@0.1.0" },
  tables: {
    blocks: { sql: "SELECT * FROM anvil.blocks" },
    transactions: { sql: "SELECT * FROM anvil.transactions" },
    logs: { sql: "SELECT * FROM anvil.logs" },
    transfers: { sql: "SELECT _block_num, tx_hash, log_index, address, topic1, topic2, data FROM anvil.logs" }
  }
}

/** A sync of its own chain into a schema of its own. */
const startWorld = Effect.fnUntraced(function*(schema: string, options: Partial<SimulatorOptions>, statements: string) {
  const url = Redacted.value((yield* EmbeddedPostgres).url)
  yield* Effect.promise(async () => {
    const client = new pg.Client(url)
    await client.connect()
    await client.query(`CREATE SCHEMA ${schema}; SET search_path TO ${schema}; ${statements}`)
    await client.end()
  })
  const simulator = yield* startSimulator({ dialect: "amp", seed: 7, derivedName: "acme/mainnet", ...options })
  const path = join(yield* temporaryDirectory, "dataset.json")
  yield* Effect.promise(() => writeFile(path, JSON.stringify(manifest)))
  const process = yield* startAmpsync({
    DATASET_MANIFEST: path,
    DATABASE_URL: url,
    DATABASE_SCHEMA: schema,
    AMP_FLIGHT_ADDR: simulator.flightUrl,
    AMP_ADMIN_API_ADDR: simulator.adminUrl,
    HEALTH_PORT: "0",
    HEALTH_HOST: "127.0.0.1"
  })
  yield* process.prints(/Health endpoints: [^\n]+\n/)
  return { process, simulator, address: healthAddress(process.output())! }
})

const open = Effect.fnUntraced(function*(address: string, options: BrowserContextOptions) {
  const browser = yield* TestBrowser
  const page = yield* Effect.promise(() => browser.newPage({ viewport: { width: 1180, height: 700 }, ...options }))
  yield* Effect.promise(() => page.goto(`http://${address}/`))
  return page
})

const shoot = Effect.fnUntraced(function*(page: Page, name: string, height?: number) {
  const path = join(images, `status-${name}.png`)
  const { width } = page.viewportSize()!
  const part = height === undefined ? {} : { clip: { x: 0, y: 0, width, height } }
  yield* Effect.promise(async () => {
    await page.screenshot({ path, fullPage: true, ...part })
    const { size } = await stat(path)
    console.log(`${path}: ${size} bytes`)
    if (size > MAX_BYTES) throw new Error(`${path} has more than ${MAX_BYTES} bytes`)
  })
})

const program = Effect.gen(function*() {
  yield* Effect.promise(() => mkdir(images, { recursive: true }))
  const good = yield* startWorld("good", { blocks: 20_000, blockTime: "1 second", reorgEvery: 32, reorgDepth: 3 }, "")
  const bad = yield* startWorld("bad", { blocks: 20_000 }, "CREATE TABLE transactions (id int)")
  const light = yield* open(good.address, { colorScheme: "light" })
  const dark = yield* open(good.address, { colorScheme: "dark" })
  const narrow = yield* open(good.address, { colorScheme: "light", viewport: { width: 390, height: 700 } })
  const trouble = yield* open(bad.address, { colorScheme: "light" })
  yield* bad.process.prints("Table 'logs' has caught up")
  yield* Effect.sleep("40 seconds")
  bad.simulator.faults.failNext("any", 14, "the server is being restarted", 100)
  bad.simulator.faults.failAfter(1, 14, "the server is being restarted")
  bad.simulator.mine(3)
  yield* Effect.sleep("30 seconds")
  yield* shoot(trouble, "trouble")
  yield* shoot(light, "light")
  yield* shoot(dark, "dark")
  yield* shoot(narrow, "narrow", 1_400)
  yield* good.process.kill("SIGKILL")
  yield* Effect.promise(() => light.locator("#lost:not(:empty)").waitFor())
  yield* shoot(light, "lost", 520)
})

await Effect.runPromise(
  program.pipe(Effect.scoped, Effect.provide([embeddedPostgres, TestBrowser.layer, NodeServices.layer]))
)
