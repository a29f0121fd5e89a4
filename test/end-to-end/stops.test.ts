/** What stops the program from outside: signals at any moment, and a closed output. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect } from "effect"
import { spawn } from "node:child_process"
import { cp, readdir, writeFile } from "node:fs/promises"
import { dirname, join } from "node:path"
import { MAIN, startAmpsync } from "../support/ampsyncProcess.ts"
import { temporaryDirectory } from "../support/temporaryDirectory.ts"
import { makeWorld } from "../support/world.ts"

const asModule = (code: string) => `data:text/javascript,${encodeURIComponent(code)}`

/** Runs `code` in another thread when `dist/main.js` begins to load the rest of the program. The process does not end by itself. */
const whileLoading = (code: string) => {
  const hooks = asModule(`
    import { writeSync } from "node:fs"
    export const resolve = async (specifier, context, next) => {
      if (/\\/cli-\\w+\\.js$/.test(specifier)) { ${code} }
      return next(specifier, context)
    }`)
  return {
    NODE_OPTIONS: `--import ${
      asModule(
        `import { register } from "node:module"; register(${JSON.stringify(hooks)}); setInterval(() => {}, 1000)`
      )
    }`
  }
}

const STARTING = "the program is being loaded"

/** The main file of a copy of the build whose program is never loaded to its end: its first module reports that it runs, and waits. */
const heldBuild = Effect.tap(
  Effect.map(temporaryDirectory, (directory) => join(directory, "main.js")),
  (main) =>
    Effect.promise(async () => {
      const [from, to] = [dirname(MAIN), dirname(main)]
      for (const name of ["main.js", "chunks"]) await cp(join(from, name), join(to, name), { recursive: true })
      const chunks = await readdir(join(to, "chunks"))
      const hold = `import { writeSync } from "node:fs"
      writeSync(2, ${JSON.stringify(STARTING)})
      setInterval(() => {}, 1000)
      await new Promise(() => {})`
      await writeFile(join(to, "chunks", chunks.find((name) => name.startsWith("cli-"))!), hold)
      await writeFile(join(to, "package.json"), `{ "type": "module" }`)
    })
)

describe("a signal during the start", () => {
  it.live.each(
    [
      ["SIGTERM", [], 0],
      ["SIGINT", ["simulate"], 0],
      ["SIGHUP", ["demo"], 0],
      // For these verbs an exit code of 0 means a result, and there is none.
      ["SIGTERM", ["plan"], 1],
      ["SIGTERM", ["resync", "--table", "logs", "--yes"], 1]
    ] as const
  )("%s while the program is still being loaded ends %j at once, with the usual log lines and exit code %i", ([
    signal,
    args,
    expected
  ]) =>
    Effect.gen(function*() {
      const main = yield* heldBuild
      const process = yield* startAmpsync(
        {},
        args,
        (node, [, ...rest], options) => spawn(node, [main, ...rest], options)
      )
      yield* process.prints(STARTING)
      yield* process.kill(signal)
      const { code, signal: killedBy } = yield* process.exited
      assert.deepStrictEqual([code, killedBy], [expected, null], process.output())
      assert.include(process.output(), `Received ${signal}, shutting down gracefully...`)
      assert.include(process.output(), "Shutdown complete")
    }), 60_000)

  it.live.each([[[], 0], [["simulate", "--flight-port", "0", "--admin-port", "0"], 0], [["demo"], 0]] as const)(
    "SIGTERM while the rest of the program is being loaded ends %j, with the usual exit code %i",
    ([args, expected]) =>
      Effect.gen(function*() {
        const { environment } = yield* makeWorld({ dialect: "amp", blocks: 5 })
        const process = yield* startAmpsync(
          { ...environment, ...whileLoading("process.kill(process.pid, \"SIGTERM\")") },
          args
        )
        const { code, signal } = yield* process.exited
        assert.deepStrictEqual([code, signal], [expected, null], process.output())
      }),
    60_000
  )
})

/** Runs `ampsync ... | head -1` in a shell; returns the output and the exit code of ampsync. */
const firstLine = Effect.fnUntraced(
  function*(environment: Readonly<Record<string, string>>, args: ReadonlyArray<string>) {
    const ended = yield* Deferred.make<void>()
    let output = ""
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        const script = "{ \"$@\"; echo \"exit code $?\" >&2; } | head -1"
        const shell = spawn("/bin/sh", ["-c", script, "sh", process.execPath, MAIN, ...args], {
          detached: true,
          stdio: ["ignore", "pipe", "pipe"],
          env: { PATH: process.env["PATH"], ...environment }
        })
        for (const stream of [shell.stdout, shell.stderr]) {
          stream.setEncoding("utf8").on("data", (text: string) => output += text)
        }
        shell.on("close", () => Deferred.doneUnsafe(ended, Effect.void))
        return shell
      }),
      (shell) =>
        Effect.gen(function*() {
          if (!(yield* Deferred.isDone(ended))) process.kill(-shell.pid!, "SIGKILL")
          yield* Deferred.await(ended)
        })
    )
    yield* Effect.timeoutOrElse(Deferred.await(ended), {
      duration: "50 seconds",
      orElse: () => Effect.die(new Error(`it still runs after its output was closed:\n${output}`))
    })
    return output
  }
)

describe("a standard output whose pipe is closed", () => {
  it.live.each(
    [
      ["simulate", ["simulate", "--flight-port", "0", "--admin-port", "0", "--reorg-every", "0"]],
      ["demo", ["demo", "--blocks", "50", "--reorg-every", "0"]],
      ["the sync", []]
    ] as const
  )("ends %s in good order, with exit code 0 and without a stack trace", ([, args]) =>
    Effect.gen(function*() {
      const { environment } = yield* makeWorld({ dialect: "amp", blocks: 5 })
      const temporary = yield* temporaryDirectory
      const output = yield* firstLine({ ...environment, TMPDIR: temporary }, args)
      assert.include(output, "exit code 0")
      assert.notMatch(output, /\n\s+at /, "no stack trace")
      assert.include(output, "Received EPIPE on standard output, shutting down gracefully...")
      assert.deepStrictEqual(yield* Effect.promise(() => readdir(temporary)), [])
    }), 60_000)
})
