import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { join } from "node:path"
import { inject } from "vitest"
import { sortTests } from "../../scripts/fast-tests.mjs"
import { temporaryDirectory } from "../support/temporaryDirectory.ts"
import { writeFiles } from "../support/writeFiles.ts"

const HELPERS = {
  "src/domain/a.ts": `import { Effect } from "effect"\nexport const a = Effect.void`,
  "src/layers/Pool.ts": `import { Client } from "pg"\nexport class Pool extends Client {}`,
  "test/support/database.ts": `import { Pool } from "../../src/layers/Pool.ts"\nexport const database = new Pool()`
}

/** Whether a test file of this source is fast. */
const isFast = Effect.fnUntraced(function*(source: string) {
  const root = yield* temporaryDirectory
  yield* Effect.promise(() => writeFiles(root, { ...HELPERS, "test/domain/a.test.ts": source }))
  const { fast, slow } = sortTests(root)
  assert.deepStrictEqual([...fast, ...slow], ["test/domain/a.test.ts"])
  return fast.length === 1
})

describe("npm run test:fast runs a test file", () => {
  it.live.each<readonly [title: string, source: string, isFast: boolean]>([
    ["that imports pure code", `import { a } from "../../src/domain/a.ts"`, true],
    ["that imports only types of a driver", `import type { Pool } from "../../src/layers/Pool.ts"`, true],
    ["that reads files", `import { readFile } from "node:fs/promises"`, true],
    ["but none that reaches a driver through its helpers", `import { database } from "../support/database.ts"`, false],
    ["but none that imports a driver late", `const { Client } = await import("pg")`, false],
    ["but none that begins a process", `import { spawn } from "node:child_process"`, false],
    ["but none that begins a thread", `import { Worker } from "node:worker_threads"`, false],
    ["but none that listens", `import { createServer } from "node:net"`, false],
    ["but none that imports a package of unknown effects", `import { serve } from "a-new-package"`, false],
    [
      "but none that imports a value beside a type",
      `import { type Pool, database } from "../support/database.ts"`,
      false
    ],
    [
      "but none that reaches a driver behind an exported type",
      `export type A = string\nimport { database } from "../support/database.ts"`,
      false
    ]
  ])("%s", ([_, source, expected]) =>
    Effect.gen(function*() {
      assert.strictEqual(yield* isFast(source), expected)
    }))

  it("and every other file runs beside the database", () => {
    const { fast, slow } = sortTests(join(import.meta.dirname, "..", ".."))
    assert.include(fast, "test/scripts/fast-tests.test.ts")
    assert.include(slow, "test/layers/PgPool.test.ts")
    assert.isUndefined(inject("postgresUrl"))
  })

  it("once: none is tried again", ({ task }) => {
    assert.isUndefined(task.retry)
  })
})
