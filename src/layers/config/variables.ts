/** Reads the texts of settings: from the current ConfigProvider or the values of a host program, and from secret files. */
import { Config, Effect, Option, Redacted } from "effect"
import { didYouMean } from "../../domain/didYouMean.ts"
import type { Problems, SettingProblem, SettingTexts } from "../../domain/settings/decode.ts"
import type { SettingSection } from "../../domain/settings/Setting.ts"
import {
  type SecretName,
  secretNames,
  settingNames,
  settingOf,
  type Variable as SettingVariable,
  variablesOf
} from "../../domain/settings/settings.ts"
import { type IgnoredName, ignoredNames } from "./libpq.ts"
import { type IgnoredTelemetryName, ignoredTelemetryNames } from "./otel.ts"
import { readSecretFile } from "./secretFile.ts"

/** Names that belong to others: OpenTelemetry has many more, which resemble these. */
const borrowed: ReadonlyArray<SettingSection> = ["libpq", "telemetry"]

/** Those that suggestions are made from. */
const ownVariables = settingNames.filter((name) => !borrowed.includes(settingOf(name).section)).flatMap(variablesOf)

/** Every variable of a setting, and those of libpq that are read only for the warning that they have no effect. */
const variables = [...settingNames.flatMap(variablesOf), ...ignoredNames, ...ignoredTelemetryNames]

type Ignored = IgnoredName | IgnoredTelemetryName
type Variable = SettingVariable | Ignored

/** Sorts problems by the order of the settings. */
export const inOrder = (problems: Problems): Problems => {
  const places = new Map<string, number>(variables.map((variable, place) => [variable, place]))
  return problems.toSorted((a, b) => (places.get(a.variable) ?? 0) - (places.get(b.variable) ?? 0))
}

/** The variables that are set, as text; an empty text counts as not set. */
export type Texts = SettingTexts & { readonly [V in Ignored]?: string }

/** The values of a host program, by variable. */
export type SettingValues = {
  readonly [V in Variable]?: string | number | boolean | URL | Redacted.Redacted<string> | undefined
}

/** A variable that is not a setting, and the one it resembles. */
export interface Typo {
  readonly name: string
  readonly didYouMean: SettingVariable
}

/** The texts that were read, and the problems of the others. */
export interface Gathered {
  readonly texts: Texts
  readonly problems: Problems
  readonly typos: ReadonlyArray<Typo>
}

// A blank at either end belongs to a password; elsewhere it is a typing error.
const keepsBlanks: ReadonlyArray<string> = settingNames.filter((name) => settingOf(name).parameter === "password")

const keep = (variable: Variable, text: string): readonly [Variable, string] | undefined => {
  const kept = keepsBlanks.includes(variable) ? text : text.trim()
  return kept === "" ? undefined : [variable, kept]
}

const isDefined = <A>(value: A | undefined): value is A => value !== undefined

/** Reads every variable from the current ConfigProvider, by default the environment of the process. */
export const fromProvider: Effect.Effect<Gathered> = Effect.gen(function*() {
  const entries: Array<readonly [Variable, string] | undefined> = []
  const problems: Array<SettingProblem> = []
  for (const variable of variables) {
    const text = yield* Effect.option(Config.option(Config.String(variable)))
    if (Option.isNone(text)) {
      problems.push({ variable, found: "could not be read", allowed: "a text that the ConfigProvider can read" })
    } else if (Option.isSome(text.value)) entries.push(keep(variable, text.value.value))
  }
  return { texts: Object.fromEntries(entries.filter(isDefined)), problems, typos: typosInEnvironment() }
})

/** Names in the environment of the process that resemble a setting's; values are not read. */
const typosInEnvironment = (): ReadonlyArray<Typo> =>
  Object.keys(process.env).flatMap((name) => {
    const suggestion = didYouMean(name, ownVariables)
    return suggestion === undefined ? [] : [{ name, didYouMean: suggestion }]
  })

/** The texts of a host program's values. */
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

/** Reads the secret files and adds their contents as the texts of their settings. */
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
