import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs"
import { copyFile, mkdir, rm, symlink, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { text } from "node:stream/consumers"
import { differences } from "../../scripts/reproducible/compare.ts"
import { temporaryDirectory } from "../support/temporaryDirectory.ts"

const repository = join(import.meta.dirname, "..", "..")

/** A small package with the compiler settings of this one; `files` are added or changed. */
const project = (files: Readonly<Record<string, string>> = {}, folder = ".") =>
  Effect.tap(Effect.map(temporaryDirectory, (parent) => join(parent, folder)), (root) =>
    Effect.promise(async () => {
      await mkdir(join(root, "src"), { recursive: true })
      await symlink(join(repository, "node_modules"), join(root, "node_modules"))
      for (const name of ["tsconfig.json", "tsconfig.build.json"]) {
        await copyFile(join(repository, name), join(root, name))
      }
      const all = {
        "package.json":
          `{ "name": "small", "type": "module", "exports": { ".": { "types": "./dist/lib/index.d.ts" } } }`,
        "src/index.ts": `export { answer, type Answer } from "./answer.ts"\n`
          + `export const later = () => import("./late.ts")`,
        "src/answer.ts": `export type Answer = number\nexport const answer: Answer = 42\n`
          + `export const unused = () => import("./never.ts")`,
        "src/late.ts": `export const late = "late"`,
        "src/never.ts": `export const never = "never"`,
        "src/main.ts": `import pg from "pg"\nimport { answer } from "./answer.ts"\n`
          + `const { late } = await import("./late.ts")\nconsole.log(answer, late, typeof pg.Pool)`,
        ...files
      }
      for (const [path, source] of Object.entries(all)) await writeFile(join(root, path), source)
    }))

const run = (args: ReadonlyArray<string>, umask = "022", timeZone = "UTC") =>
  Effect.promise(async () => {
    const child = spawn("sh", ["-c", `umask ${umask}; exec "$@"`, "sh", process.execPath, ...args], {
      env: { ...process.env, TZ: timeZone },
      stdio: ["ignore", "pipe", "pipe"]
    })
    const [[status], stdout, stderr] = await Promise.all([once(child, "exit"), text(child.stdout), text(child.stderr)])
    return { status: status as number, stdout, stderr }
  })

const build = (root: string) => run([join(repository, "scripts", "build.mjs"), root])

describe("build", () => {
  it.live("makes a program that runs alone and a library without TypeScript names", () =>
    Effect.gen(function*() {
      const root = yield* project()
      const { status, stderr, stdout } = yield* build(root)
      assert.match(stderr, /^built dist in \d+\.\d s\n$/)
      assert.deepStrictEqual({ status, stdout }, { status: 0, stdout: "" })
      // Bundled: it needs no node_modules beside it.
      yield* Effect.promise(() => rm(join(root, "node_modules")))
      const program = join(root, "dist", "main.js")
      assert.strictEqual((yield* run([program])).stdout, "42 late function\n")
      assert.isTrue(readFileSync(program, "utf8").startsWith("#!/usr/bin/env node\n"))
      assert.strictEqual(statSync(program).mode & 0o111, 0o111)
      const chunks = readdirSync(join(root, "dist", "chunks"))
      assert.lengthOf(chunks.filter((name) => name.startsWith("late-")), 1)
      // Nothing of the program imports it.
      assert.lengthOf(chunks.filter((name) => name.startsWith("never-")), 0)
      const licenses = readFileSync(join(root, "dist", "LICENSES.txt"), "utf8")
      assert.match(licenses, /^pg \d+\.\d+\.\d+ \(MIT\)\n-+\n\nMIT License\n/m)
      // A dependency of `pg`, and one of the repository that the bundle does not have.
      assert.match(licenses, /^pg-protocol \d/m)
      assert.notInclude(licenses, "apache-arrow")
      for (const name of ["index.js", "index.d.ts"]) {
        const code = readFileSync(join(root, "dist", "lib", name), "utf8")
        assert.include(code, `from "./answer.js"`)
        assert.notInclude(code, ".ts\"")
      }
    }))

  // Of the whole program: npm run reproducible.
  it.live("makes the same bytes with the same modes in a folder of another depth, under another umask and in another time zone", () =>
    Effect.gen(function*() {
      const builds: Array<string> = []
      for (
        const [folder, umask, timeZone] of [
          [".", "022", "UTC"],
          ["a deeper/folder", "077", "Pacific/Kiritimati"]
        ] as const
      ) {
        const root = yield* project({}, folder)
        const { status, stderr } = yield* run([join(repository, "scripts", "build.mjs"), root], umask, timeZone)
        assert.strictEqual(status, 0, stderr)
        builds.push(join(root, "dist"))
      }
      assert.deepStrictEqual(differences(builds[0]!, builds[1]!), [])
    }))

  it.live("fails when a public type needs the types of pg, however deep", () =>
    Effect.gen(function*() {
      const root = yield* project({
        "src/answer.ts": `export { pool as answer, type Answer } from "./pool.ts"`,
        "src/pool.ts": `import type { Pool } from "pg"\nexport type Answer = Pool\nexport declare const pool: Pool`
      })
      const { status, stderr } = yield* build(root)
      assert.include(stderr, `pool.d.ts:1: a public type needs the types of "pg"`)
      assert.strictEqual(status, 1)
    }))

  it.live("fails on a type error and keeps the previous dist whole", () =>
    Effect.gen(function*() {
      const root = yield* project()
      assert.strictEqual((yield* build(root)).status, 0)
      yield* Effect.promise(() => writeFile(join(root, "src", "answer.ts"), "export const answer: string = 42"))
      const { status, stderr } = yield* build(root)
      assert.include(stderr, "src/answer.ts(1,14): error TS2322")
      assert.include(stderr, "build failed: tsc found errors")
      assert.strictEqual(status, 1)
      assert.strictEqual((yield* run([join(root, "dist", "main.js")])).stdout, "42 late function\n")
      assert.deepStrictEqual(readdirSync(root).filter((name) => name.startsWith(".build-")), [])
    }))

  it.live("leaves nothing of an earlier build", () =>
    Effect.gen(function*() {
      const root = yield* project({ "src/old.ts": "export {}" })
      yield* build(root)
      assert.isTrue(existsSync(join(root, "dist", "lib", "old.js")))
      yield* Effect.promise(() => rm(join(root, "src", "old.ts")))
      yield* build(root)
      assert.isFalse(existsSync(join(root, "dist", "lib", "old.js")))
    }))

  it.live("makes one complete dist when two builds run at once", () =>
    Effect.gen(function*() {
      const root = yield* project()
      const results = yield* Effect.all([build(root), build(root)], { concurrency: 2 })
      assert.deepStrictEqual(results.map((result) => result.status), [0, 0])
      assert.strictEqual((yield* run([join(root, "dist", "main.js")])).stdout, "42 late function\n")
      assert.deepStrictEqual(readdirSync(root).filter((name) => name.startsWith(".build-")), [])
    }))
})
