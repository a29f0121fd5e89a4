/** What the command line prints of itself: help, version, and what is wrong with its arguments. */
import { Console, Context, Effect, Option } from "effect"
import { CliOutput } from "effect/cli"
import { settingsHelp } from "../../domain/settings/help.ts"
import { SettingsOf } from "./settings.ts"

/**
 * Of what is wrong the errors alone, and how to read the help: with it they would be below what nobody asked for. The help ends
 * with the settings of the verb, which are many: usage and flags come before them.
 */
export const presenter = CliOutput.layerPresenter({
  present: (event) =>
    event._tag === "InvalidInvocation"
      ? Effect.gen(function*() {
        const formatter = yield* CliOutput.Formatter
        const [, ...verb] = event.commandPath
        yield* Console.error(formatter.formatErrors(event.errors).trim())
        yield* Console.error(`\nWhat there is: ${["node dist/main.js", ...verb].join(" ")} --help`)
      })
      : Effect.gen(function*() {
        yield* CliOutput.defaultPresenter.present(event)
        if (event._tag !== "Help") return
        const verb = Context.getOption(event.helpDoc.annotations, SettingsOf)
        if (Option.isSome(verb)) yield* Console.log(`\n${settingsHelp(verb.value)}`)
      })
})
