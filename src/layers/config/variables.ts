/** The names of all settings, and where their texts come from. */
import { Config, Effect, Option, Redacted } from "effect"
import { resembling } from "../../domain/resemblance.ts"
import {
  type SecretName,
  secretNames,
  settingNames,
  settingOf,
  type Variable as SettingVariable,
  variablesOf
} from "../../domain/settings/settings.ts"
import type { ConfigProblem } from "../../services/Config.ts"
import { type IgnoredName, ignoredNames } from "./libpq.ts"
import { readSecretFile } from "./secretFile.ts"

/** Those that our own messages and suggestions are about. */
const ownVariables = settingNames.filter((name) => settingOf(name).section !== "libpq").flatMap(variablesOf)

/** Every variable that is read, and those of libpq that are only read to report that they have no effect. */
const variables = [...settingNames.flatMap(variablesOf), ...ignoredNames]

export type Variable = SettingVariable | IgnoredName

/** What is set, as text; an empty text is not set. */
export type Texts = { readonly [V in Variable]?: string }

/** What a host program may pass for each variable. */
export type SettingValues = {
  readonly [V in Variable]?: string | number | boolean | URL | Redacted.Redacted<string> | undefined
}

/** A variable that is none of ours, and the one it looks like. */
export interface Slip {
  readonly name: string
  readonly meant: SettingVariable
}

/** Texts so far, and what was wrong with the others. */
export interface Gathered {
  readonly texts: Texts
  readonly problems: ReadonlyArray<ConfigProblem>
}

const keep = (variable: Variable, text: string): readonly [Variable, string] | undefined => {
  // A blank at either end of a password is part of it, anywhere else it is a slip.
  const kept = variable === "DATABASE_PASSWORD" || variable === "PGPASSWORD" ? text : text.trim()
  return kept === "" ? undefined : [variable, kept]
}

const isDefined = <A>(value: A | undefined): value is A => value !== undefined

/** Asks the ConfigProvider for every variable; by default that is the environment of the process. */
export const fromProvider: Effect.Effect<Gathered> = Effect.gen(function*() {
  const entries: Array<readonly [Variable, string] | undefined> = []
  const problems: Array<ConfigProblem> = []
  for (const variable of variables) {
    const text = yield* Effect.option(Config.option(Config.String(variable)))
    if (Option.isNone(text)) {
      problems.push({ variable, found: "could not be read", allowed: "a text that the ConfigProvider can give" })
    } else if (Option.isSome(text.value)) entries.push(keep(variable, text.value.value))
  }
  return { texts: Object.fromEntries(entries.filter(isDefined)), problems }
})

/** Names in the environment of the process that would be ignored but are hardly meant to be; values are not looked at. */
export const slipsInEnvironment: Effect.Effect<ReadonlyArray<Slip>> = Effect.sync(() =>
  Object.keys(process.env).flatMap((name) => {
    const meant = resembling(name, ownVariables)
    return meant === undefined ? [] : [{ name, meant }]
  })
)

export const fromValues = (values: SettingValues): Gathered => ({
  texts: Object.fromEntries(
    variables.flatMap((variable) => {
      const value = values[variable]
      if (value === undefined) return []
      return [keep(variable, Redacted.isRedacted(value) ? Redacted.value(value) : String(value))].filter(isDefined)
    })
  ),
  problems: []
})

/** Puts the content of secret files in the place of the variables that name them. */
export const readSecretFiles = Effect.fnUntraced(function*(
  { problems, texts }: Gathered,
  wanted: ReadonlyArray<SecretName> = secretNames
) {
  const read: Record<string, string> = { ...texts }
  const found: Array<ConfigProblem> = [...problems]
  for (const secret of wanted) {
    const variable = `${secret}_FILE` as const
    const path = texts[variable]
    if (path === undefined) continue
    if (texts[secret] !== undefined) {
      const conflict = `is set together with ${secret}`
      found.push({ variable, found: conflict, allowed: `one of ${secret} and ${variable}` })
      continue
    }
    const content = yield* Effect.result(readSecretFile(variable, path))
    if (content._tag === "Success") read[secret] = content.success
    else {
      found.push({ variable, found: content.failure.reason, allowed: "the path of a file that is not empty" })
    }
  }
  return { texts: read as Texts, problems: found } satisfies Gathered
})
