/** The commands and config files of the documentation, run as a reader would run them. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { chmod, cp, mkdir, symlink, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { startAmpsync } from "../support/ampsyncProcess.ts"
import { eventually } from "../support/eventually.ts"
import { testDatabase } from "../support/postgres.ts"
import { temporaryDirectory } from "../support/temporaryDirectory.ts"
import { makeWorld, type World } from "../support/world.ts"
import { type Example, examplesIn, pageOf, root, tableRows } from "./pages.ts"

/** The address that examples connect to. */
const DATABASE = "postgresql://user:password@localhost:5432/chain"

/** What stands in for npm: it does not install anything again, and a script must be one that there is. */
const NPM = `#!/bin/sh
case "$1" in
  ci) exit 0 ;;
  install) case "$2" in */ampsync-*.tgz) exit 0 ;; esac; echo "$2 is not the package" >&2; exit 66 ;;
  test) name=test ;;
  run) name="$2"; shift; shift; [ "$1" = -- ] && shift ;;
  *) echo "npm $1 is in no example yet" >&2; exit 64 ;;
esac
grep -q "\\"$name\\": " package.json || { echo "package.json has no script $name" >&2; exit 65; }
[ "$name" = demo ] && exec node dist/main.js demo "$@"
exit 0
`

/** The command of the installed package, which test/packaging runs as it is, with the real npx. */
const NPX = `#!/bin/sh
[ "$1" = ampsync ] || { echo "npx $1 is in no example yet" >&2; exit 64; }
shift
exec node dist/main.js "$@"
`

/** A folder like that of a checkout that is built, with a config file. */
const checkout = Effect.fnUntraced(function*(config: string) {
  const directory = yield* temporaryDirectory
  yield* Effect.promise(async () => {
    for (const entry of ["dist", "package.json", "node_modules"]) {
      await symlink(join(root, entry), join(directory, entry))
    }
    await mkdir(join(directory, "bin"))
    for (const [name, text] of [["npm", NPM], ["npx", NPX]] as const) {
      await writeFile(join(directory, "bin", name), text)
      await chmod(join(directory, "bin", name), 0o755)
    }
    await writeFile(join(directory, "nozzle.config.ts"), config)
    await cp(join(directory, "nozzle.config.ts"), join(directory, "amp.config.ts"))
  })
  return directory
})

const LIMIT_MILLIS = 80_000

interface Ended {
  readonly code: number | null
  readonly output: string
}

/** What a command that runs until it is stopped writes once it is at work. */
const untilStopped: ReadonlyArray<readonly [command: RegExp, atWork: RegExp]> = [
  [/main\.js simulate/, /Arrow Flight +http/],
  [/npm run demo$|main\.js demo$/, /Connect with any client/],
  [/(main\.js|npx ampsync)$/, /Started reorg stream[\s\S]*Started reorg stream/]
]

/** Runs `script` to its end; one that has none is sent SIGTERM once it is at work. */
const runScript = (script: string, directory: string, environment: Readonly<Record<string, string>>) =>
  Effect.callback<Ended>((resume) => {
    const lines = script.trimEnd().replaceAll(/\\\n\s*/g, " ").split("\n")
    const last = lines.pop()!.replace(/ +#.*$/, "")
    const atWork = untilStopped.find(([command]) => command.test(last))?.[1]
    // The last command takes the place of the shell, so that it gets the signal.
    const parts = last.split(" && ")
    const final = parts.pop()!.replace(/^((?:\w+=\S+ )*)/, "exec env $1")
    const text = ["set -eu", ...lines, [...parts, final].join(" && ")].join("\n")
    const child = spawn("bash", ["-c", text], {
      cwd: directory,
      env: { HOME: directory, PATH: `${directory}/bin:${process.env["PATH"]}`, ...environment },
      stdio: ["ignore", "pipe", "pipe"]
    })
    let output = ""
    let stopped = false
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (piece: string) => {
        output += piece
        if (!stopped && atWork?.test(output) === true) stopped = child.kill("SIGTERM")
      })
    }
    // What hangs is shown with what it wrote.
    const limit = setTimeout(() => child.kill("SIGKILL"), LIMIT_MILLIS)
    child.once("close", (code) => {
      clearTimeout(limit)
      resume(Effect.succeed({ code, output }))
    })
    return Effect.sync(() => void child.kill("SIGKILL"))
  })

/** An example with this run's addresses in the place of those that everybody has. */
const adapted = ({ text }: Example, { database, simulator }: World) =>
  text.replaceAll(DATABASE, database.url)
    .replaceAll("http://localhost:1602", simulator.flightUrl)
    .replaceAll("http://localhost:1610", simulator.adminUrl)
    .replaceAll(/--(flight|admin)-port \d+/g, "--$1-port 0")
    // Another simulator may run on this machine.
    .replaceAll(/main\.js simulate$/gm, "main.js simulate --flight-port 0 --admin-port 0")
    .replaceAll("--from v2", `--from ${database.schema}`)
    // The syncs that it would wait for are stopped.
    .replaceAll(/(main\.js publish .*--as live)$/gm, "$1 --wait 0s")
    .replaceAll(/--to-block \d+/g, `--to-block ${simulator.chain.tip - 1n}`)
    // A shorter chain shows as well that the command is right.
    .replaceAll(/--blocks \d+/g, "--blocks 300")

/** Both tables are complete, the last blocks each with a watermark of its own, with their index, and no process writes them. */
const fill = Effect.fnUntraced(function*({ database, environment, simulator }: World, config: string) {
  yield* startAmpsync({ ...environment, DATASET_MANIFEST: config })
  const has = (what: string, count: number, query: string) =>
    eventually(
      what,
      // Before the tables are there, the query fails.
      Effect.map(
        Effect.catchCause(database.query(query), () => Effect.succeed([])),
        (rows) => rows.length === count
      )
    )
  for (let mined = 0; mined < 4; mined++) {
    if (mined > 0) simulator.mine(1)
    const { tip } = simulator.chain
    yield* has(`${tip} is complete`, 2, `SELECT FROM _ampsync_checkpoints WHERE max_block_num = ${tip}`)
  }
  yield* has(
    "its index",
    1,
    "SELECT FROM pg_index WHERE indrelid = 'logs'::regclass AND indisvalid AND pg_get_indexdef(indexrelid) LIKE '% (address)'"
  )
}, Effect.scoped)

const configs = [...examplesIn("ts"), ...examplesIn("json")].filter(({ text }) => /\btables"?:/.test(text))

describe("the commands of the documentation", () => {
  it.live("run", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 50 })
      const second = yield* testDatabase
      const directory = yield* checkout(configs[0]!.text)
      const { DATASET_MANIFEST: _, ...environment } = world.environment
      yield* fill(world, join(directory, "nozzle.config.ts"))
      for (const example of examplesIn("sh")) {
        const script = adapted(example, world)
        // Where the example does not name what to fill, the reader has done so before.
        const named = /DATASET(_MANIFEST)?=/.test(script) ? {} : { DATASET_MANIFEST: "./nozzle.config.ts" }
        // Another dataset does not fill the tables of the first.
        const place = /DATASET=/.test(script) ? { DATABASE_SCHEMA: second.schema } : {}
        const { code, output } = yield* runScript(script, directory, { ...environment, ...named, ...place })
        // Of stopped tables a status reports that they need attention, and they are not published.
        const expected = /main\.js (status|publish)/.test(script) ? 3 : 0
        assert.strictEqual(code, expected, `${example.place}:\n${script}\n${output}`)
      }
    }), 180_000)
})

describe("docs/simulator.md", () => {
  it.live("has the options that the simulator takes, with their defaults", () =>
    Effect.gen(function*() {
      const directory = yield* temporaryDirectory
      const { output } = yield* runScript(`node ${join(root, "dist/main.js")} simulate --help`, directory, {})
      const options = [...output.matchAll(/^ +(--[a-z-]+) \w+ .*\(default: (\S+)\)/gm)].map(([, ...found]) => found)
      const rows = tableRows(pageOf("docs/simulator.md"), "from-the-command-line")
      assert.deepStrictEqual(
        rows.map(([option, standard]) => [option, standard].map((cell) => cell!.replaceAll("`", ""))),
        options
      )
    }))
})

describe("the config files of the documentation", () => {
  it.live("are planned without a refusal", () =>
    Effect.gen(function*() {
      assert.isAbove(configs.length, 2)
      const world = yield* makeWorld({ dialect: "amp", blocks: 50 })
      for (const { language, place, text } of configs) {
        const directory = yield* temporaryDirectory
        yield* Effect.promise(() => writeFile(join(directory, `amp.config.${language}`), text))
        const { code, output } = yield* runScript(`node ${join(root, "dist/main.js")} plan`, directory, {
          ...world.environment,
          DATASET_MANIFEST: `amp.config.${language}`
        })
        assert.strictEqual(code, 3, `${place}:\n${output}`)
      }
    }))
})
