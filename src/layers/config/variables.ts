/** Where the texts of settings come from: the ConfigProvider in force or the values of a host program, and secret files. */
import { Config, Effect, Option, Redacted } from "effect"
import { resembling } from "../../domain/resemblance.ts"
import type { Problems, SettingProblem, SettingTexts } from "../../domain/settings/decode.ts"
import {
  type SecretName,
  secretNames,
  settingNames,
  settingOf,
  type Variable as SettingVariable,
  variablesOf
} from "../../domain/settings/settings.ts"
import { type IgnoredName, ignoredNames } from "./libpq.ts"
import { readSecretFile } from "./secretFile.ts"

/** Those that our own messages and suggestions are about. */
const ownVariables = settingNames.filter((name) => settingOf(name).section !== "libpq").flatMap(variablesOf)

/** Every variable that is read, and those of libpq that are only read to report that they have no effect. */
const variables = [...settingNames.flatMap(variablesOf), ...ignoredNames]

type Variable = SettingVariable | IgnoredName

/** In the order of the list of settings. */
export const inOrder = (problems: Problems): Problems => {
  const places = new Map<string, number>(variables.map((variable, place) => [variable, place]))
  return problems.toSorted((a, b) => (places.get(a.variable) ?? 0) - (places.get(b.variable) ?? 0))
}

/** What is set, as text; an empty text is not set. */
export type Texts = SettingTexts & { readonly [V in IgnoredName]?: string }

/** What a host program may pass for each variable. */
export type SettingValues = {
  readonly [V in Variable]?: string | number | boolean | URL | Redacted.Redacted<string> | undefined
}

/** A variable that is not a setting, and the one it resembles. */
export interface Typo {
  readonly name: string
  readonly didYouMean: SettingVariable
}

/** Texts so far, and what was wrong with the others. */
export interface Gathered {
  readonly texts: Texts
  readonly problems: Problems
  readonly typos: ReadonlyArray<Typo>
}

// A blank at either end of a password is part of it, anywhere else it is a mistake.
const keepsBlanks: ReadonlyArray<string> = settingNames.filter((name) => settingOf(name).parameter === "password")

const keep = (variable: Variable, text: string): readonly [Variable, string] | undefined => {
  const kept = keepsBlanks.includes(variable) ? text : text.trim()
  return kept === "" ? undefined : [variable, kept]
}

const isDefined = <A>(value: A | undefined): value is A => value !== undefined

/** Asks the ConfigProvider for every variable; by default that is the environment of the process. */
export const fromProvider: Effect.Effect<Gathered> = Effect.gen(function*() {
  const entries: Array<readonly [Variable, string] | undefined> = []
  const problems: Array<SettingProblem> = []
  for (const variable of variables) {
    const text = yield* Effect.option(Config.option(Config.String(variable)))
    if (Option.isNone(text)) {
      problems.push({ variable, found: "could not be read", allowed: "a text that the ConfigProvider can give" })
    } else if (Option.isSome(text.value)) entries.push(keep(variable, text.value.value))
  }
  return { texts: Object.fromEntries(entries.filter(isDefined)), problems, typos: typosInEnvironment() }
})

/** Names in the environment of the process that would be ignored but are hardly meant to be; values are not read. */
const typosInEnvironment = (): ReadonlyArray<Typo> =>
  Object.keys(process.env).flatMap((name) => {
    const didYouMean = resembling(name, ownVariables)
    return didYouMean === undefined ? [] : [{ name, didYouMean }]
  })

export const fromValues = (values: SettingValues): Gathered => ({
  texts: Object.fromEntries(
    variables.flatMap((variable) => {
      const value = values[variable]
      if (value === undefined) return []
      return [keep(variable, Redacted.isRedacted(value) ? Redacted.value(value) : String(value))].filter(isDefined)
    })
  ),
  problems: [],
  typos: []
})

/** Puts the content of secret files in the place of the variables that name them. */
export const readSecretFiles = Effect.fnUntraced(function*(
  texts: Texts,
  wanted: ReadonlyArray<SecretName> = secretNames
) {
  const read: Record<string, string> = { ...texts }
  const problems: Array<SettingProblem> = []
  for (const secret of wanted) {
    const variable = `${secret}_FILE` as const
    const path = texts[variable]
    if (path === undefined) continue
    if (texts[secret] !== undefined) {
      const conflict = `is set together with ${secret}`
      problems.push({ variable, found: conflict, allowed: `one of ${secret} and ${variable}` })
      continue
    }
    const content = yield* Effect.result(readSecretFile(variable, path))
    if (content._tag === "Success") read[secret] = content.success
    else {
      problems.push({ variable, found: content.failure.reason, allowed: "the path of a file that is not empty" })
    }
  }
  return { texts: read as Texts, problems }
})
