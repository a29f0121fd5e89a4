import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import { settingNames, settingOf } from "../../src/domain/settings/settings.ts"
import { MAIN, startAmpsync } from "../support/ampsyncProcess.ts"
import { temporaryDirectory } from "../support/temporaryDirectory.ts"
import { writeFiles } from "../support/writeFiles.ts"
import { pageOf, tableRows } from "./pages.ts"

const page = pageOf("docs/commands.md")
const code = (text: string) => `\`${text}\``
const cellsOf = (anchor: string) => tableRows(page, anchor).map(([cell]) => cell!)

const helpOf = Effect.fnUntraced(function*(verb: string) {
  const help = yield* startAmpsync({}, [...(verb === "" ? [] : [verb]), "--help"])
  assert.strictEqual((yield* help.exited).code, 0, verb)
  return help.output()
}, Effect.scoped)

const overview = Effect.runSync(Effect.cached(helpOf("")))

/** Every verb, as the help lists them, and its help. */
const verbs = Effect.runSync(Effect.cached(
  Effect.gen(function*() {
    const list = /\nSUBCOMMANDS\n([\s\S]*?)\n\n/.exec(`${yield* overview}\n\n`)![1]!
    const names = [...list.matchAll(/^ {2}(\w+) /gm)].map(([, name]) => name!)
    const helps = yield* Effect.forEach(names, helpOf, { concurrency: 2 })
    return names.map((name, index) => ({ name, help: helps[index]! }))
  }).pipe(Effect.scoped)
))

interface Option {
  readonly name: string
  readonly standard: string
  readonly meaning: string
}

const optionsIn = (help: string): ReadonlyArray<Option> => {
  const lines = /\nFLAGS\n([\s\S]*?)\n\n/.exec(help)?.[1] ?? ""
  return [...lines.matchAll(/^ {2}(--[\w-]+)(?: \w+)? {2,}(.*)$/gm)].map(([, name, text]) => {
    const standard = / \(default: (.*?)\)(?= \(|$)/.exec(text!)
    return { name: name!, standard: standard?.[1] ?? "", meaning: text!.replace(standard?.[0] ?? "", "") }
  })
}

describe("docs/commands.md", () => {
  it.live(
    "has every verb with its exit codes, and every option with its default, as --help has them",
    () =>
      Effect.gen(function*() {
        const all = yield* verbs
        assert.isAbove(all.length, 8)
        const [documented, ended] = [cellsOf("verbs").join("\n"), cellsOf("exit-codes").join("\n")]
        for (const { name } of all) {
          assert.match(documented, new RegExp(`main\\.js ${name}\\b`), name)
          assert.include(ended, code(name), name)
        }
        const expected = all.flatMap(({ help, name: verb }) =>
          optionsIn(help).map(({ meaning, name, standard }) => [
            code(verb),
            code(name),
            /^\S+$/.test(standard) ? code(standard) : standard,
            meaning
          ])
        )
        assert.isAbove(expected.length, 30)
        const rows = tableRows(page, "options")
        assert.deepStrictEqual(rows, expected, expected.map((cells) => `| ${cells.join(" | ")} |`).join("\n"))
      }),
    60_000
  )
})

describe("--help of every verb", () => {
  it.live("lists every setting that the verb reads, with its default, and no other", () =>
    Effect.gen(function*() {
      for (const { help, name } of [...(yield* verbs), { name: "sync", help: yield* overview }]) {
        const lines = help.split("\n")
        let read = 0
        for (const setting of settingNames) {
          const { default: fallback, section, verbs } = settingOf(setting)
          const pattern = section === "libpq"
            ? new RegExp(`libpq's variables: .*\\b${setting}\\b`)
            : new RegExp(`^ +${setting} `)
          const line = lines.find((line) => pattern.test(line))
          assert.strictEqual(line !== undefined, verbs.some((verb) => verb === name), `${name}: ${setting}`)
          if (line === undefined) continue
          read += 1
          if (fallback !== undefined) assert.include(line, `(default: ${fallback})`)
        }
        assert.isAbove(read, 0, name)
      }
    }), 60_000)

  it.live(
    "has usage and flags before the settings, of which some are only checked outside of a sync",
    () =>
      Effect.gen(function*() {
        for (const { help, name } of [...(yield* verbs), { name: "sync", help: yield* overview }]) {
          const settings = help.indexOf("\nSETTINGS (")
          assert.isAbove(settings, Math.max(help.indexOf("\nUSAGE\n"), help.indexOf("\nGLOBAL FLAGS\n")), name)
          assert.strictEqual(
            help.includes("Only a sync makes use of"),
            !["sync", "health"].includes(name) && help.includes("HEALTH_PORT"),
            name
          )
        }
      }),
    60_000
  )

  it.live(
    "offers no flag without an effect: the level of the log is RUST_LOG's business",
    () =>
      Effect.gen(function*() {
        for (const { help, name } of [...(yield* verbs), { name: "sync", help: yield* overview }]) {
          assert.include(help, "--help", name)
          assert.include(help, "--version", name)
          assert.notInclude(help, "log-level", name)
          assert.notInclude(help, "--wizard", name)
        }
      }),
    60_000
  )
})

/** What a shell offers for the last of `words`. */
const HARNESS = `
source ./completions
complete=$(complete -p ampsync | sed 's/.*-F \\([^ ]*\\).*/\\1/')
offer() {
  COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=\${#COMP_LINE}; COMPREPLY=()
  "$complete" ampsync "\${COMP_WORDS[COMP_CWORD]}" "\${COMP_WORDS[COMP_CWORD-1]}"
  echo "\${COMPREPLY[@]}"
}
`

describe("completions", () => {
  it.live("of bash offer every verb, its options and their choices", () =>
    Effect.gen(function*() {
      const all = yield* verbs
      const directory = yield* temporaryDirectory
      const { stdout: completions } = spawnSync(process.execPath, [MAIN, "--completions", "bash"], { encoding: "utf8" })
      const asked = [...all.map(({ name }) => `offer ampsync ${name} --`), `offer ampsync simulate --dialect ""`]
      yield* Effect.promise(() =>
        writeFiles(directory, {
          completions,
          "offers.sh": [HARNESS, `offer ampsync ""`, ...asked].join("\n")
        })
      )
      const { status, stderr, stdout } = spawnSync("bash", ["./offers.sh"], { cwd: directory, encoding: "utf8" })
      assert.strictEqual(status, 0, stderr)
      const [offered, ...options] = stdout.trimEnd().split("\n").map((line) => line.split(" "))
      assert.sameMembers(offered!, all.map(({ name }) => name))
      for (const [index, { help, name }] of all.entries()) {
        assert.includeMembers(options[index]!, optionsIn(help).map((option) => option.name), name)
      }
      assert.deepStrictEqual(options.at(-1), ["nozzle", "amp"])
    }), 60_000)

  for (const shell of ["zsh", "fish"] as const) {
    const missing = spawnSync(shell, ["--version"]).error !== undefined
    it.live.skipIf(missing)(
      `of ${shell} are read by it${missing ? ` (skipped: ${shell} is not installed)` : ""}`,
      () =>
        Effect.gen(function*() {
          const { stdout } = spawnSync(process.execPath, [MAIN, "--completions", shell], { encoding: "utf8" })
          assert.isAbove(stdout.length, 1000)
          const { status, stderr } = spawnSync(shell, ["--no-execute"], { encoding: "utf8", input: stdout })
          assert.strictEqual(status, 0, stderr)
          yield* Effect.void
        })
    )
  }
})
