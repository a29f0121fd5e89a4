import { Cause, Effect, Exit, Runtime } from "effect"

/** Exit code of a start that failed because of what an operator wrote: settings, config file, command line. */
const BAD_INPUT = 2

/**
 * Runs the program of this process and exits with its code: 0, 2 for bad input, what the failure names, 1 for everything else. The reason goes to
 * standard error, without a stack where it is written for operators. Signals are the program's own business.
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
      // The command line's own errors were printed with the help they belong to.
      const said = Cause.isFailReason(reason) && reason.error._tag !== "ShowHelp" ? reason.error.message : ""
      if (said !== "") console.error(said)
      if (Cause.isDieReason(reason)) console.error(Cause.pretty(cause))
    }
  })

/** A failure that is an answer brings the exit code that says so. */
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
