/** The exit code and the error output of the process. */
import { Cause, Effect, Exit, Runtime } from "effect"
import { lineOutsideOfLog } from "../domain/logText.ts"

/** Exit code of a start that failed for settings, config file or command line. */
const BAD_INPUT = 2

/**
 * Runs the program of this process and exits with its code: 0, 2 for bad input, the code of the failure, 1 for everything
 * else. The reason goes to standard error, without a stack where it is a typed failure. The program handles signals itself.
 */
export const runMain = (program: Effect.Effect<void, { readonly _tag: string; readonly message: string }>): void =>
  run(Effect.tapCause(program, report), {
    disableErrorReporting: true,
    teardown: (exit, done) => done(Exit.isSuccess(exit) ? 0 : exitCode(exit.cause))
  })

const run = Runtime.makeRunMain(({ fiber, teardown }) => {
  fiber.addObserver((exit) => teardown(exit, (code) => process.exit(code)))
})

const report = (cause: Cause.Cause<{ readonly _tag: string; readonly message: string }>) =>
  Effect.sync(() => {
    for (const reason of cause.reasons) {
      // The command line's own errors are printed already.
      const message = Cause.isFailReason(reason) && reason.error._tag !== "ShowHelp" ? reason.error.message : ""
      if (message !== "") print(message)
      if (Cause.isDieReason(reason)) print(Cause.pretty(cause))
    }
  })

const print = (message: string) => console.error(lineOutsideOfLog(process.env["LOG_FORMAT"], "ERROR", message))

/** A failure may have the exit code of a result, as that of `plan`. */
interface Failure {
  readonly _tag?: string
  readonly exitCode?: number
}

const exitCode = (cause: Cause.Cause<unknown>): number => {
  const failure = cause.reasons.find(Cause.isFailReason)?.error as Failure | undefined
  if (failure?.exitCode !== undefined) return failure.exitCode
  return ["ConfigError", "ManifestError", "UnknownDependencies", "ShowHelp"].includes(failure?._tag ?? "")
    ? BAD_INPUT
    : 1
}
