import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import {
  appendFile,
  chmod,
  link,
  open,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  utimes,
  writeFile
} from "node:fs/promises"
import { join } from "node:path"
import { eventually } from "../support/eventually.ts"
import { writeFiles } from "../support/writeFiles.ts"
import { directoryOf, named } from "./manifest-source/files.ts"
import { watch } from "./manifest-source/watching.ts"

const json = (name: string) => JSON.stringify({ name, tables: { blocks: { sql: "SELECT 1" } } })

/** Replaces the old file by a new one, as editors and `sed -i` do. */
const replace = async (path: string, content: string) => {
  await writeFile(`${path}~`, content)
  await rename(`${path}~`, path)
}

/** Seconds in which any config of a test finishes. */
const AMPLE = 60

/** How long a config may run, in seconds: the last value that the test set. */
const allowance = () => {
  let seconds = AMPLE
  return {
    allow: (next: number): void => void (seconds = next),
    evaluationTimeout: Effect.sync(() => Duration.seconds(seconds))
  }
}

/** Much longer than the pauses of a test, also on a busy machine. */
const LONG_DEBOUNCE = Duration.seconds(5)

/** The command lines of all processes; none where the system has no /proc. */
const commandLines = Effect.promise(async () => {
  const processes = (await readdir("/proc").catch(() => [])).filter((name) => /^\d+$/.test(name))
  return await Promise.all(processes.map((id) => readFile(`/proc/${id}/cmdline`, "utf8").catch(() => "")))
})

/** Writes into the existing file in one call; no content may be shorter than the one before. */
const overwrite = async (path: string, content: string) => {
  const file = await open(path, "r+")
  await file.write(content, 0)
  await file.close()
}

/** A path below the layout that Kubernetes gives a ConfigMap: every file a link through `..data`, which is swapped. */
const configMap = async (root: string, revision: string, content: string) => {
  await writeFiles(root, { [`..${revision}/c.json`]: content })
  await symlink(`..${revision}`, join(root, "..next"))
  await rename(join(root, "..next"), join(root, "..data"))
}

/** A tsconfig.json whose `paths` lead to a folder. */
const pathsTo = (folder: string, more: object = {}) =>
  JSON.stringify({ ...more, compilerOptions: { baseUrl: ".", paths: { "@shared/*": [`${folder}/*`] } } })

describe("changes of ManifestSource", () => {
  it.live("detects a change of the tsconfig.json whose paths the config follows, of what it extends, and a nearer one", () =>
    Effect.gen(function*() {
      const root = yield* directoryOf({
        "app/deep/c.ts":
          "import { name } from \"@shared/name\"\nexport default { name, tables: { t: { sql: \"SELECT 1\" } } }",
        "app/tsconfig.json": "{ // of the project\n \"extends\": [\"../base\"], }",
        "base.json": pathsTo("./a"),
        ...Object.fromEntries(["a", "b", "c", "d"].map((name) => [`${name}/name.ts`, `export const name = "${name}"`]))
      })
      const watched = yield* watch(join(root, "app/deep/c.ts"))
      const edits = [["b", "base.json", "./b"], ["c", "app/tsconfig.json", "../c"], [
        "d",
        "app/deep/tsconfig.json",
        "../../d"
      ]] as const
      for (const [name, file, folder] of edits) {
        yield* Effect.promise(() => replace(join(root, file), pathsTo(folder)))
        assert.strictEqual(yield* watched.nextName, name)
      }
      // An error in it is one of the config, until it is corrected.
      yield* Effect.promise(() => replace(join(root, "app/deep/tsconfig.json"), "{"))
      yield* watched.nextError
      yield* Effect.promise(() => rm(join(root, "app/deep/tsconfig.json")))
      assert.strictEqual(yield* watched.nextName, "c")
    }))

  it.live("detects every change of a file that is written in place or replaced", () =>
    Effect.gen(function*() {
      const path = join(yield* directoryOf({ "c.json": json("a") }), "c.json")
      const watched = yield* watch(path)
      for (const round of ["b", "c"]) {
        yield* Effect.promise(() => writeFile(path, json(`${round}_in_place`)))
        assert.strictEqual(yield* watched.nextName, `${round}_in_place`)
        yield* Effect.promise(() => replace(path, json(`${round}_replaced`)))
        assert.strictEqual(yield* watched.nextName, `${round}_replaced`)
      }
    }))

  it.live("detects a write to the same inode, as to a single file in a container", () =>
    Effect.gen(function*() {
      const root = yield* directoryOf({ "host/c.json": json("a"), "c/readme": "" })
      // A write by the other name of the inode emits no event in the directory, as with a bind mount of one file.
      const path = join(root, "c", "c.json")
      yield* Effect.promise(() => symlink(join(root, "host", "c.json"), path))
      const watched = yield* watch(path)
      for (const name of ["b", "c"]) {
        yield* Effect.promise(async () => {
          const file = await open(join(root, "host", "c.json"), "r+")
          await file.truncate(0)
          await file.write(json(name), 0)
          await file.close()
        })
        assert.strictEqual(yield* watched.nextName, name)
      }
    }))

  it.live("detects every swap of a Kubernetes ConfigMap", () =>
    Effect.gen(function*() {
      const root = yield* directoryOf({})
      yield* Effect.promise(() => configMap(root, "1", json("a")))
      yield* Effect.promise(() => symlink("..data/c.json", join(root, "c.json")))
      const watched = yield* watch(join(root, "c.json"))
      for (const [revision, name] of [["2", "b"], ["3", "c"], ["4", "d"]] as const) {
        yield* Effect.promise(() => configMap(root, revision, json(name)))
        assert.strictEqual(yield* watched.nextName, name)
      }
    }))

  it.live.each(
    [
      ["a ConfigMap", "..data", { "c.ts": "..data/c.ts", "q.ts": "..data/q.ts" }, "c.ts", "./q.ts"],
      ["the current release", "current", {}, "current/c.ts", "./q.ts"],
      ["a folder the config imports from", "current", { "c.ts": "v1/c.ts" }, "c.ts", "./current/q"]
    ] as const
  )(
    "detects the swap of %s to a folder in which only an imported file differs, while the old one stays",
    ([_, folder, links, config, specifier]) =>
      Effect.gen(function*() {
        const code = `import { name } from "${specifier}"\nexport default { name, tables: { t: { sql: "SELECT 1" } } }`
        const root = yield* directoryOf({
          "v1/c.ts": code,
          "v1/q.ts": "export const name: string = \"a\"",
          "v2/c.ts": code,
          "v2/q.ts": "export const name: string = \"b\"",
          "v3/c.ts": code,
          "v3/q.ts": "export const name: string = \"b\""
        })
        const point = async (name: string, target: string) => {
          await symlink(target, join(root, "next"))
          await rename(join(root, "next"), join(root, name))
        }
        yield* Effect.promise(() => point(folder, "v1"))
        for (const [name, target] of Object.entries(links)) yield* Effect.promise(() => point(name, target))
        const watched = yield* watch(join(root, config))
        yield* Effect.promise(() => point(folder, "v2"))
        assert.strictEqual(yield* watched.nextName, "b")
        // The new path is watched from then on, and the same content elsewhere is no change.
        yield* Effect.promise(() => point(folder, "v3"))
        yield* watched.nothingComes
        yield* Effect.promise(() => writeFile(join(root, "v3/q.ts"), "export const name = \"c\""))
        assert.strictEqual(yield* watched.nextName, "c")
      })
  )

  it.live("detects by polling what emits no event: that a directory further up was swapped", () =>
    Effect.gen(function*() {
      const root = yield* directoryOf({
        "1/etc/c.json": json("a"),
        "2/etc/c.json": json("b"),
        "3/etc/c.json": json("c")
      })
      const deploy = async (revision: string) => {
        await symlink(revision, join(root, "next"))
        await rename(join(root, "next"), join(root, "current"))
      }
      yield* Effect.promise(() => deploy("1"))
      const watched = yield* watch(join(root, "current", "etc", "c.json"))
      for (const [revision, name] of [["2", "b"], ["3", "c"]] as const) {
        yield* Effect.promise(() => deploy(revision))
        assert.strictEqual(yield* watched.nextName, name)
      }
    }))

  it.live(
    "detects by an event, without waiting for the next poll, any way of writing a file",
    () =>
      Effect.gen(function*() {
        const root = yield* directoryOf({
          "c.json": json("a"),
          "host/c.json": json("a"),
          "elsewhere/c.json": json("a")
        })
        const map = join(root, "map")
        yield* Effect.promise(async () => {
          await configMap(map, "1", json("a"))
          await symlink("..data/c.json", join(map, "c.json"))
          await symlink(join(root, "elsewhere", "c.json"), join(root, "linked.json"))
          // Its own directory emits no event for a write by the other name, as with one file mounted into a container.
          await link(join(root, "host", "c.json"), join(root, "mounted.json"))
        })
        // A change without an event would never be detected.
        const eventsOnly = { debounce: Duration.millis(50), pollInterval: Duration.hours(1) }
        const path = join(root, "c.json")
        const elsewhere = join(root, "elsewhere", "c.json")
        let revision = 1
        const ways: ReadonlyArray<readonly [path: string, write: (content: string) => Promise<void>]> = [
          [path, (content) => writeFile(path, content)],
          [path, (content) => replace(path, content)],
          [join(root, "mounted.json"), (content) => overwrite(join(root, "host", "c.json"), content)],
          [join(root, "linked.json"), (content) => replace(elsewhere, content)],
          [join(map, "c.json"), (content) => configMap(map, String(revision += 1), content)]
        ]
        for (const [index, [path, write]] of ways.entries()) {
          const watched = yield* watch(path, eventsOnly)
          for (const round of ["b", "c", "d", "e"]) {
            const name = `${round}${index}`
            yield* Effect.promise(() => write(json(name)))
            assert.strictEqual(yield* watched.nextName, name)
          }
        }
        const watched = yield* watch(path, eventsOnly)
        for (const name of ["f", "g"]) {
          yield* Effect.promise(() => rm(path))
          assert.include((yield* watched.nextError).message, "does not exist")
          yield* Effect.promise(() => replace(path, json(name)))
          assert.strictEqual(yield* watched.nextName, name)
        }
      }),
    60_000
  )

  it.live("ignores a touch, the same content in a new file, and changes of other files", () =>
    Effect.gen(function*() {
      const root = yield* directoryOf({ "c.json": json("a") })
      const path = join(root, "c.json")
      const watched = yield* watch(path)
      yield* Effect.promise(() => utimes(path, new Date(), new Date()))
      yield* Effect.promise(() => replace(path, json("a")))
      yield* Effect.promise(() => writeFiles(root, { "other.json": json("b") }))
      yield* watched.nothingComes
      // Later changes are still detected.
      yield* Effect.promise(() => replace(path, json("b")))
      assert.strictEqual(yield* watched.nextName, "b")
    }))

  it.live("reports once that the file is gone, and once that it is back", () =>
    Effect.gen(function*() {
      const path = join(yield* directoryOf({ "c.json": json("a") }), "c.json")
      const watched = yield* watch(path)
      yield* Effect.promise(() => rm(path))
      assert.include((yield* watched.nextError).message, "the file does not exist")
      yield* watched.nothingComes
      yield* Effect.promise(() => writeFile(path, json("a")))
      assert.strictEqual(yield* watched.nextName, "a")
    }))

  it.live("ignores that a file is gone for a moment, as editors leave it", () =>
    Effect.gen(function*() {
      const path = join(yield* directoryOf({ "c.json": json("a") }), "c.json")
      const watched = yield* watch(path, { debounce: LONG_DEBOUNCE })
      yield* Effect.promise(() => rm(path))
      yield* Effect.sleep(150)
      yield* Effect.promise(() => writeFile(path, json("b")))
      assert.strictEqual(yield* watched.nextName, "b")
      yield* watched.nothingComes
    }))

  it.live("loads edits in quick succession once, after the last one", () =>
    Effect.gen(function*() {
      const path = join(yield* directoryOf({ "c.json": json("a") }), "c.json")
      const watched = yield* watch(path, { debounce: LONG_DEBOUNCE })
      for (let edit = 0; edit < 12; edit += 1) {
        yield* Effect.promise(() => writeFile(path, edit % 3 === 2 ? "{" : json(`e${edit}`)))
        yield* Effect.sleep(100)
      }
      yield* Effect.promise(() => writeFile(path, json("last")))
      assert.strictEqual(yield* watched.nextName, "last")
      yield* watched.nothingComes
    }))

  it.live(
    "detects changes of a module the config imports, of one that was missing, and of a file it reads",
    () =>
      Effect.gen(function*() {
        const root = yield* directoryOf({
          "c.ts": "import { name } from \"./lib/names.ts\"\nimport data from \"./d.json\"\n" +
            "export default ({ functionSource }) => ({ name: name + data.suffix + functionSource(\"f.js\").source.trim(), " +
            "tables: { t: { sql: \"SELECT 1\" } } })",
          "lib/names.ts": "export { name } from \"./deep.js\"",
          "lib/deep.js": "export const name = \"a\"",
          "d.json": "{ \"suffix\": \"_x\" }",
          "f.js": "_f"
        })
        const watched = yield* watch(join(root, "c.ts"))
        yield* Effect.promise(() => replace(join(root, "lib/deep.js"), "export const name = \"b\""))
        assert.strictEqual(yield* watched.nextName, "b_x_f")
        yield* Effect.promise(() => writeFile(join(root, "d.json"), "{ \"suffix\": \"_y\" }"))
        assert.strictEqual(yield* watched.nextName, "b_y_f")
        yield* Effect.promise(() => writeFile(join(root, "f.js"), "_g"))
        assert.strictEqual(yield* watched.nextName, "b_y_g")
        yield* Effect.promise(() => writeFile(join(root, "lib/names.ts"), "export { name } from \"./later\""))
        assert.include((yield* watched.nextError).message, "cannot find the module \"./later\"")
        yield* Effect.promise(() => writeFile(join(root, "lib/later.mts"), "export const name = \"late\""))
        assert.strictEqual(yield* watched.nextName, "late_y_g")
        yield* Effect.promise(() => appendFile(join(root, "lib/later.mts"), "\nexport const = 5"))
        assert.include((yield* watched.nextError).message, "later.mts:2): syntax error")
        yield* Effect.promise(() => writeFile(join(root, "lib/later.mts"), "export const name = \"healed\""))
        assert.strictEqual(yield* watched.nextName, "healed_y_g")
      }),
    90_000
  )

  it.live("terminates a config that never ends, reports it, and loads the next one", () =>
    Effect.gen(function*() {
      const root = yield* directoryOf({ "c.ts": `export default ${named("a")}`, "loop.ts": "export const x = 1" })
      const path = join(root, "c.ts")
      const { allow, evaluationTimeout } = allowance()
      const watched = yield* watch(path, { evaluationTimeout })
      const endless = [
        "while (true) {}\nexport default {}",
        `export default { get name() { for (;;) {} }, tables: {} }`,
        "setInterval(() => {}, 5)\nexport default new Promise(() => {})"
      ]
      for (const [index, code] of endless.entries()) {
        allow(2)
        yield* Effect.promise(() => writeFile(path, code))
        assert.match((yield* watched.nextError).message, /did not finish within 2 seconds/, code)
        allow(AMPLE)
        yield* Effect.promise(() => writeFile(path, `export default ${named(`healed${index}`)}`))
        assert.strictEqual(yield* watched.nextName, `healed${index}`)
      }
      // A config that ends in another way.
      for (const code of ["process.exit(0)", "await new Promise(() => {})\nexport default {}"]) {
        yield* Effect.promise(() => writeFile(path, code))
        assert.include((yield* watched.nextError).message, "ended without exporting anything")
      }
      yield* Effect.promise(() =>
        writeFile(path, "setTimeout(() => { throw new Error(\"x\") })\nexport default new Promise(() => {})")
      )
      assert.include((yield* watched.nextError).message, "failed in code that it does not await: Error")
      // The loop is in a helper: correcting that is enough.
      yield* Effect.promise(() => writeFile(path, `import "./loop.ts"\nexport default ${named("with_helper")}`))
      assert.strictEqual(yield* watched.nextName, "with_helper")
      // The helper must have been read by then.
      allow(8)
      yield* Effect.promise(() => writeFile(join(root, "loop.ts"), "for (;;) {}"))
      assert.include((yield* watched.nextError).message, "did not finish")
      allow(AMPLE)
      yield* Effect.promise(() => writeFile(join(root, "loop.ts"), "export const x = 2"))
      assert.strictEqual(yield* watched.nextName, "with_helper")
    }), 120_000)

  it.live.each([
    ["execSync", "execSync(\"exec sleep 131.41\")"],
    ["execFileSync", "execFileSync(\"sleep\", [\"131.42\"], { timeout: 60_000, stdio: \"ignore\" })"],
    ["spawnSync", "spawnSync(\"sleep\", [\"131.43\"])"]
  ])(
    "terminates a config that waits for a child process by %s, and the process",
    ([name, call]) =>
      Effect.gen(function*() {
        const root = yield* directoryOf({ "c.ts": `export default ${named("a")}` })
        const path = join(root, "c.ts")
        const { allow, evaluationTimeout } = allowance()
        const watched = yield* watch(path, { evaluationTimeout })
        allow(3)
        yield* Effect.promise(() =>
          writeFile(path, `import { ${name} } from "node:child_process"\n${call}\nexport default ${named("late")}`)
        )
        assert.match((yield* watched.nextError).message, /did not finish within 3 seconds/)
        allow(AMPLE)
        yield* Effect.promise(() => writeFile(path, `export default ${named("healed")}`))
        assert.strictEqual(yield* watched.nextName, "healed")
        yield* eventually(
          "the process is gone",
          Effect.map(commandLines, (all) => !all.some((one) => one.includes("131.4")))
        )
      })
  )

  it.live("misses no change in a directory with many events", () =>
    Effect.gen(function*() {
      const root = yield* directoryOf({ "c.json": json("a"), "log": "" })
      const watched = yield* watch(join(root, "c.json"))
      yield* Effect.forkScoped(Effect.forever(Effect.andThen(
        Effect.promise(() => appendFile(join(root, "log"), "line\n")),
        Effect.sleep(10)
      )))
      for (const name of ["b", "c"]) {
        yield* Effect.promise(() => replace(join(root, "c.json"), json(name)))
        assert.strictEqual(yield* watched.nextName, name)
      }
    }))

  it.live("detects a change that was made while the file was evaluated", () =>
    Effect.gen(function*() {
      const path = join(yield* directoryOf({}), "c.ts")
      const last = `export default ${named("last")}`
      const replacing = (content: string) =>
        `import { writeFileSync } from "node:fs"\n` +
        `writeFileSync(${JSON.stringify(path)}, ${JSON.stringify(content)})\nexport default ${named("first")}`
      yield* Effect.promise(() => writeFile(path, replacing(replacing(last))))
      assert.strictEqual(yield* (yield* watch(path)).nextName, "last")
    }))

  it.live("reports why a file cannot be read, and loads it once it can be", () =>
    Effect.gen(function*() {
      const root = yield* directoryOf({ "c.json": json("a") })
      const path = join(root, "c.json")
      const watched = yield* watch(path)
      if (process.getuid?.() === 0) {
        yield* Effect.promise(async () => {
          await rm(path)
          await writeFiles(path, { "in-its-place": "" })
        })
        assert.include((yield* watched.nextError).message, "EISDIR")
      } else {
        yield* Effect.promise(() => chmod(path, 0o000))
        assert.include((yield* watched.nextError).message, "EACCES")
      }
      // Another reason is reported, although the file still cannot be read.
      yield* Effect.promise(() => rm(path, { recursive: true }))
      assert.include((yield* watched.nextError).message, "does not exist")
      yield* Effect.promise(() => writeFile(path, json("b")))
      assert.strictEqual(yield* watched.nextName, "b")
    }))
})
