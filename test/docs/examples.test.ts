import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { startAmpsync } from "../support/ampsyncProcess.ts"
import { eventually } from "../support/eventually.ts"
import { makeWorld } from "../support/world.ts"
import { type Example, examplesIn, root } from "./pages.ts"

const tsc = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin/tsc")

/** What the compiler has to say of examples in TypeScript, each in a file of its own. */
const compile = async (examples: ReadonlyArray<Example>): Promise<string> => {
  const directory = await mkdtemp(join(tmpdir(), "ampsync-docs-"))
  try {
    const [ours, forConfigs] = [[join(root, "src/index.ts")], [join(root, "src/config.ts")]]
    for (const entry of ["node_modules", "src"]) await symlink(join(root, entry), join(directory, entry))
    await writeFile(join(directory, "package.json"), JSON.stringify({ type: "module" }))
    await writeFile(
      join(directory, "tsconfig.json"),
      JSON.stringify({
        extends: join(root, "tsconfig.json"),
        compilerOptions: {
          // The packages that a config may import, with the names that ampsync gives them.
          paths: {
            ampsync: ours,
            "ampsync/*": [join(root, "src/*.ts")],
            nozzl: forConfigs,
            nozzle: forConfigs,
            "@edgeandnode/amp": forConfigs
          },
          // An example ends where its point is made.
          noUnusedLocals: false
        },
        include: ["*.ts", join(root, "src/**/*.d.ts")]
      })
    )
    for (const { place, text } of examples) {
      await writeFile(join(directory, `${place.replaceAll(/[^\w]/g, "_")}.ts`), text)
    }
    return await new Promise((resolve) =>
      execFile(process.execPath, [tsc, "-p", directory], (_, stdout, stderr) => resolve(stdout + stderr))
    )
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

describe("examples in TypeScript", () => {
  it("compile", async () => {
    const examples = examplesIn("ts")
    assert.strictEqual(await compile(examples), "")
  })

  it("are not waved through", async () => {
    const wrong = {
      place: "wrong",
      section: "wrong",
      language: "ts",
      text: `import { layer } from "ampsync"\nexport const n: string = layer`
    }
    assert.include(await compile([wrong]), "is not assignable to type 'string'")
  })
})

describe("examples in JSON", () => {
  it("can be read", () => {
    for (const { text } of examplesIn("json")) JSON.parse(text)
  })
})

describe("examples in SQL", () => {
  it.live("run against tables that are being synced", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 20 })
      yield* startAmpsync(world.environment)
      yield* eventually(
        "all tables are complete",
        Effect.map(
          world.database.query("SELECT FROM _ampsync_checkpoints WHERE max_block_num = 19").pipe(
            Effect.catchCause(() => Effect.succeed([]))
          ),
          (rows) => rows.length === 3
        )
      )
      for (const { place, text } of examplesIn("sql")) {
        yield* world.database.query(`BEGIN; ${text}; ROLLBACK`).pipe(
          Effect.catchDefect((cause) => Effect.die(new Error(`${place}: ${String(cause)}`)))
        )
      }
    }))
})
