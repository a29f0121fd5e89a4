/**
 * Measures a cold start with a TypeScript config against the same with JSON: `npm run bench:start -- [starts] [most]`.
 *
 * Each start is a process of its own, `dist/main.js` against a simulated server and an embedded PostgreSQL, with its own schema.
 * The two configs are equal, and their starts alternate. Figures are milliseconds from spawning to a line of the log, as
 * medians. Fails when one of the ratios is above `most`.
 */
import { Effect, Redacted } from "effect"
import { spawn } from "node:child_process"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { layer } from "../src/demo/embedded-postgres/layer.ts"
import { EmbeddedPostgres } from "../src/demo/EmbeddedPostgres.ts"
import { startSimulator } from "../src/simulator/Simulator.ts"

const starts = Number(process.argv[2] ?? 21)
const most = Number(process.argv[3] ?? 1.5)

const main = fileURLToPath(new URL("../dist/main.js", import.meta.url))
const lines = ["Loaded manifest", "Started reorg stream"]
const timeoutMillis = 30_000

const manifest = {
  name: "example",
  network: "anvil",
  version: "0.1.0",
  dependencies: { anvil: { owner: "_", name: "anvil", version: "0.1.0" } },
  tables: {
    blocks: { sql: "SELECT * FROM anvil.blocks" },
    logs: { sql: "SELECT _block_num, tx_hash, log_index, address, topic0, topic1, data FROM anvil.logs" }
  }
}
const configs = {
  "config.json": JSON.stringify(manifest, undefined, 2),
  "config.ts": `import { defineDataset } from "nozzl"

interface Source { readonly owner: string; readonly name: string; readonly version: string }
const dependencies: Record<string, Source> = ${JSON.stringify(manifest.dependencies)}

export default defineDataset(() => ({ ...${JSON.stringify(manifest, undefined, 2)}, dependencies }))
`
}

/** Milliseconds to each of `lines`. */
const coldStart = (environment: Record<string, string>): Promise<ReadonlyArray<number>> =>
  new Promise((resolve, reject) => {
    const started = performance.now()
    const at: Array<number> = []
    const child = spawn(process.execPath, [main], { env: environment, stdio: ["ignore", "pipe", "inherit"] })
    const timer = setTimeout(() => child.kill("SIGKILL"), timeoutMillis)
    let output = ""
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text
      while (at.length < lines.length && output.includes(lines[at.length]!)) at.push(performance.now() - started)
      if (at.length === lines.length) child.kill("SIGKILL")
    })
    child.on("close", () => {
      clearTimeout(timer)
      if (at.length === lines.length) resolve(at)
      else reject(new Error(`ended or took too long; it printed:\n${output}`))
    })
  })

const median = (values: ReadonlyArray<number>): number => values.toSorted((a, b) => a - b)[values.length >> 1]!

const measure = async (environment: Record<string, string>) => {
  const directory = await mkdtemp(join(tmpdir(), "ampsync-bench-"))
  const taken = new Map<string, Array<ReadonlyArray<number>>>()
  try {
    for (const [name, text] of Object.entries(configs)) await writeFile(join(directory, name), text)
    // The first round fills the caches of the file system and counts for nothing.
    for (let round = 0; round <= starts; round += 1) {
      for (const name of Object.keys(configs)) {
        const schema = `${name.replace(".", "_")}_${round}`
        const at = await coldStart({
          ...environment,
          DATASET_MANIFEST: join(directory, name),
          DATABASE_SCHEMA: schema
        })
        if (round > 0) taken.set(name, [...taken.get(name) ?? [], at])
      }
    }
  } finally {
    await rm(directory, { recursive: true })
  }
  return lines.map((line, index) => {
    const [json, ts] = ["config.json", "config.ts"].map((name) => median(taken.get(name)!.map((at) => at[index]!)))
    return { line, json: Math.round(json!), ts: Math.round(ts!), ratio: Number((ts! / json!).toFixed(2)) }
  })
}

const program = Effect.gen(function*() {
  const postgres = yield* EmbeddedPostgres
  const simulator = yield* startSimulator({ dialect: "nozzle", seed: 7, blocks: 50 })
  const rows = yield* Effect.promise(() =>
    measure({
      PATH: process.env["PATH"] ?? "",
      DATABASE_URL: Redacted.value(postgres.url),
      AMP_FLIGHT_ADDR: simulator.flightUrl,
      AMP_ADMIN_API_ADDR: simulator.adminUrl
    })
  )
  console.table(rows)
  if (rows.some(({ ratio }) => ratio > most)) process.exitCode = 1
}).pipe(Effect.scoped)

await Effect.runPromise(program.pipe(Effect.provide(layer)))
