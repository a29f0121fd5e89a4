/** Starts the built program in a process of its own. */
import { Deferred, Effect, type Scope } from "effect"
import { type ChildProcess, spawn, type SpawnOptions } from "node:child_process"
import { tmpdir } from "node:os"
import { fileURLToPath } from "node:url"
import { eventually } from "./eventually.ts"

/** The program under test; AMPSYNC_MAIN names another build of it. */
export const MAIN = process.env["AMPSYNC_MAIN"] ?? fileURLToPath(new URL("../../dist/main.js", import.meta.url))

export interface Exited {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** Since the process was started. */
  readonly afterMillis: number
}

export interface AmpsyncProcess {
  readonly pid: number
  /** Everything it wrote so far, to standard output and standard error. */
  readonly output: () => string
  /** Of that, what it wrote to standard output. */
  readonly stdout: () => string
  readonly kill: (signal: NodeJS.Signals) => Effect.Effect<void>
  /** Settles when it has ended. */
  readonly exited: Effect.Effect<Exited>
  /** Waits until it has written `text`. */
  readonly prints: (text: string | RegExp, timeoutMillis?: number) => Effect.Effect<void>
}

/** How a process is started: `spawn`, or one that also kills it when this process is killed. */
export type StartProcess = (command: string, args: ReadonlyArray<string>, options: SpawnOptions) => ChildProcess

/**
 * Starts `dist/main.js` with exactly `environment` and the PATH; it is killed when the scope closes, by its own id.
 */
export const startAmpsync = (
  environment: Readonly<Record<string, string>>,
  args: ReadonlyArray<string> = [],
  start: StartProcess = spawn
): Effect.Effect<AmpsyncProcess, never, Scope.Scope> => startScript(MAIN, environment, args, start)

/** As `startAmpsync` for a program in another file. */
export const startScript = (
  script: string,
  environment: Readonly<Record<string, string>>,
  args: ReadonlyArray<string> = [],
  start: StartProcess = spawn
): Effect.Effect<AmpsyncProcess, never, Scope.Scope> =>
  Effect.gen(function*() {
    const exited = yield* Deferred.make<Exited>()
    const started = Date.now()
    let [output, stdout] = ["", ""]
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => {
        const child = start(process.execPath, [script, ...args], {
          cwd: tmpdir(),
          env: { PATH: process.env["PATH"], ...environment },
          stdio: ["ignore", "pipe", "pipe"]
        })
        for (const stream of [child.stdout, child.stderr]) {
          stream?.setEncoding("utf8").on("data", (text: string) => output += text)
        }
        child.stdout?.on("data", (text: string) => stdout += text)
        child.on("close", (code, signal) =>
          Deferred.doneUnsafe(exited, Effect.succeed({ code, signal, afterMillis: Date.now() - started })))
        return child
      }),
      (child) =>
        Effect.andThen(
          Effect.sync(() =>
            child.kill("SIGKILL")
          ),
          Deferred.await(exited)
        )
    )
    return {
      pid: child.pid!,
      output: () => output,
      stdout: () => stdout,
      kill: (signal) => Effect.sync(() => void child.kill(signal)),
      exited: Deferred.await(exited),
      prints: (text, timeoutMillis) =>
        eventually(
          () => `the process prints ${String(text)}; its output:\n${output.slice(-4000)}`,
          Effect.sync(() => typeof text === "string" ? output.includes(text) : text.test(output)),
          timeoutMillis
        )
    }
  })
