/** The TypeScript of the documentation, run as an app runs it, with the library that is built. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { transform } from "esbuild"
import { mkdir, readdir, symlink, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { startScript } from "../support/ampsyncProcess.ts"
import { eventually } from "../support/eventually.ts"
import { testDatabase } from "../support/postgres.ts"
import { temporaryDirectory } from "../support/temporaryDirectory.ts"
import { makeWorld, type World } from "../support/world.ts"
import { type Example, examplesIn, root } from "./pages.ts"

interface Run {
  /** What an app has beside the example. */
  readonly around?: string
  /** Takes the place of a text of the example, which must be there. */
  readonly instead?: readonly [text: string, other: string]
  /** What it prints. */
  readonly prints?: RegExp
  /** Nothing of it goes on, so that it is not stopped. */
  readonly endsByItself?: boolean
  /** In one process with the others of which this is true: their schema is not of the environment, and a start takes a second. */
  readonly together?: boolean
  /** With the tables that those before it have filled; without it has a schema of its own. */
  readonly onFilledTables?: boolean
}

const launch = (name: string) =>
  `import { NodeRuntime as Main } from "@effect/platform-node"\nMain.runMain(Layer.launch(${name}))`

/** In the order that they run in. A new example is put here, or below with the reason why it cannot run. */
const RUN: Readonly<Record<string, Run>> = {
  "docs/library.md#use-it-in-an-effect-app": { onFilledTables: true, prints: /Started reorg stream/ },
  "docs/library.md#resync-and-rewind": {
    onFilledTables: true,
    around: "await Effect.runPromise(readAgain)",
    endsByItself: true,
    prints: /\d+ rows above block 19 deleted/
  },
  "docs/library.md#resync-and-rewind 2": {
    onFilledTables: true,
    instead: [`Effect.delay("1 hour")`, `Effect.delay("100 millis")`],
    prints: /replaced \d+ rows of logs/
  },
  "docs/library.md#layers": { together: true },
  "docs/library.md#on-a-pool-of-the-app": { together: true },
  "docs/library.md#what-it-gives": { around: launch("app"), prints: /logs: .*, complete up to 19/ },
  "docs/library.md#react-to-commits": { prints: /logs: \d+ rows.*, complete up to 19/ },
  "docs/library.md#metrics": { around: launch("ampsync") },
  "docs/library.md#replace-a-service": { around: launch("ampsync") },
  "docs/library.md#test-against-the-simulator": {
    together: true,
    around: `await Effect.runPromise(test)\nconsole.log("mined and replaced")`,
    endsByItself: true,
    prints: /mined and replaced/
  },
  "docs/simulator.md#as-a-library": {
    together: true,
    instead: ["./src/simulator/Simulator.ts", "ampsync/simulator"],
    endsByItself: true,
    prints: /Flight at http:/
  }
}

/** Those that cannot run, and why. */
const NOT_RUN: Readonly<Record<string, string>> = {}

/** Config files are planned by test/docs/commands.test.ts. */
const isConfig = ({ text }: Example) => /\btables"?:/.test(text)

const examples = new Map<string, Example>()
for (const example of examplesIn("ts").filter((example) => !isConfig(example))) {
  let name = example.section
  for (let n = 2; examples.has(name); n++) name = `${example.section} ${n}`
  examples.set(name, example)
}

/** A folder of an app, in which the package and what it depends on are installed. */
const app = Effect.gen(function*() {
  const folder = yield* temporaryDirectory
  yield* Effect.promise(async () => {
    const modules = join(folder, "node_modules")
    await mkdir(modules)
    for (const name of await readdir(join(root, "node_modules"))) {
      if (!name.startsWith(".")) await symlink(join(root, "node_modules", name), join(modules, name))
    }
    await symlink(root, join(modules, "ampsync"))
  })
  return folder
})

/** The program of an example, with the addresses of this run in the place of those that everybody has. */
const programOf = ({ place, text }: Example, { around = "", instead }: Run, world: World, schema: string) => {
  const { database, simulator } = world
  if (instead !== undefined) assert.include(text, instead[0], place)
  const settings = {
    DATABASE_SCHEMA: schema,
    AMP_FLIGHT_ADDR: simulator.flightUrl,
    AMP_ADMIN_API_ADDR: simulator.adminUrl
  }
  const own = Object.entries(settings).filter(([name]) => !text.includes(`${name}:`))
  const inserted = own.map(([name, value]) => `${name}: ${JSON.stringify(value)},`).join(" ")
  const program = text.replace(...(instead ?? ["", ""]))
    .replaceAll("postgresql://user:password@localhost:5432/chain", database.url)
    .replaceAll(`DATASET: "_/anvil@0.1.0",`, (dataset) => `${dataset} ${inserted}`)
  return `${program}\n${around}`
}

describe("examples in TypeScript that are no config", () => {
  it("are each in the list of those that run, or of those that cannot", () => {
    const listed = [...Object.keys(RUN), ...Object.keys(NOT_RUN)]
    assert.sameMembers([...examples.keys()], listed)
  })

  it.live("run, and do what they are for", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 20 })
      const { database, environment } = world
      const folder = yield* app
      /** Runs these in one process. */
      const run = Effect.fnUntraced(function*(runs: ReadonlyArray<readonly [string, Run]>) {
        const files: Array<string> = []
        const schemas = new Map<string, string>()
        for (const [name, run] of runs) {
          const example = examples.get(name)!
          const { schema } = run.onFilledTables === true ? database : yield* testDatabase
          const file = join(folder, `${name.replaceAll(/\W/g, "_")}.mjs`)
          yield* Effect.promise(async () => {
            const { code } = await transform(programOf(example, run, world, schema), { loader: "ts", format: "esm" })
            await writeFile(file, code)
          })
          files.push(file)
          if (run.endsByItself !== true) schemas.set(example.place, schema)
        }
        const [schema = database.schema] = schemas.values()
        const main = `${files[0]}.main.mjs`
        yield* Effect.promise(() => writeFile(main, files.map((file) => `import ${JSON.stringify(file)}`).join("\n")))
        const started = yield* startScript(main, { ...environment, DATABASE_SCHEMA: schema })
        for (const [place, schema] of schemas) {
          yield* eventually(
            () => `${place} has filled its tables:\n${started.output()}`,
            Effect.map(
              database.query(
                `SELECT FROM ${schema}._ampsync_checkpoints WHERE max_block_num = 19 AND table_name IN ('blocks', 'logs')`
              ).pipe(Effect.catchCause(() => Effect.succeed([]))),
              (rows) => rows.length === 2
            )
          )
        }
        for (const [, { prints }] of runs) if (prints !== undefined) yield* started.prints(prints)
        if (schemas.size > 0) yield* started.kill("SIGTERM")
        const { code } = yield* started.exited
        // What the main of Effect ends with where a signal stops it.
        const expected = schemas.size > 0 ? 130 : 0
        assert.strictEqual(code, expected, `${runs.map(([name]) => name).join(", ")}:\n${started.output()}`)
      }, Effect.scoped)
      const runs = Object.entries(RUN)
      const inTurn = runs.filter(([, { onFilledTables }]) => onFilledTables === true)
      const together = runs.filter(([, run]) => run.together === true)
      const others = runs.filter((each) => !inTurn.includes(each) && !together.includes(each))
      yield* Effect.all([
        Effect.forEach(inTurn, (each) => run([each]), { discard: true }),
        Effect.forEach([together, ...others.map((each) => [each])], run, { discard: true })
      ], { concurrency: 2, discard: true })
    }))
})
