/** Decodes the texts of variables into values, or into all of their problems. */
import { Effect, Result, Schema, SchemaIssue } from "effect"
import type { Setting } from "./Setting.ts"
import { type SettingName, settingNames, settingOf, type settings, type Variable, variablesOf } from "./settings.ts"
import { quoted } from "./values.ts"

/** The variables that are set, as text; a secret from a file is under the name of the secret too. */
export type SettingTexts = { readonly [V in Variable]?: string }

/** The problem of a setting, for messages; for a secret it contains only the kind of problem. */
export interface InvalidSetting {
  /** Continues after the name of the variable: `is not set`, `is "7x"`. */
  readonly found: string
  /** The accepted values, which is also what to do. */
  readonly allowed: string
}

/** A problem, with the variable it belongs to. */
export interface SettingProblem extends InvalidSetting {
  readonly variable: string
}

export type Problems = ReadonlyArray<SettingProblem>

/** What a setting decodes to; `undefined` where it is not set and has no default. */
type Value<N extends SettingName> =
  | (typeof settings)[N]["schema"]["Type"]
  | ((typeof settings)[N] extends { readonly default: string } ? never : undefined)

/** Values by the names of their variables. */
export type SettingsOf<N extends SettingName> = { readonly [K in N]: Value<K> }

/** The variable that a setting is read from; its main name where none is set. */
export const sourceOf = (name: SettingName, texts: SettingTexts): Variable =>
  variablesOf(name).findLast((variable) => texts[variable] !== undefined) ?? name

/**
 * Decodes those settings, defaults included; fails with every problem of every one of them.
 *
 * A problem names the variable that the text came from.
 */
export const decodeSettings = <N extends SettingName>(
  names: ReadonlyArray<N>,
  texts: SettingTexts
): Result.Result<SettingsOf<N>, Problems> => {
  const fields = Object.fromEntries(names.map((name) => [name, fieldOf(settingOf(name))]))
  const given = Object.fromEntries(names.flatMap((name) => {
    const text = textOf(name, texts)
    return text === undefined ? [] : [[name, text]]
  }))
  const decoded = Schema.decodeUnknownResult(Schema.Struct(fields), { errors: "all" })(given)
  const problems = [
    ...names.flatMap((name) => aliasProblem(name, texts)),
    ...(Result.isFailure(decoded) ? reported(decoded.failure.issue, texts) : [])
  ]
  // The type of a field is that of its setting.
  return problems.length > 0 ? Result.fail(problems) : decoded as Result.Result<SettingsOf<N>, never>
}

/** Decodes one text of a setting. */
export const decodeText = <N extends SettingName>(
  name: N,
  text: string
): Result.Result<NonNullable<SettingsOf<N>[N]>, InvalidSetting> =>
  Result.mapBoth(decodeSettings([name], { [name]: text }), {
    onSuccess: (values) => values[name]!,
    onFailure: ([problem]) => problem!
  })

/** Both values, or the problems of both. */
export const both = <A, B>(
  a: Result.Result<A, Problems>,
  b: Result.Result<B, Problems>
): Result.Result<readonly [A, B], Problems> =>
  Result.isSuccess(a) && Result.isSuccess(b)
    ? Result.succeed([a.success, b.success])
    : Result.fail([...problemsOf(a), ...problemsOf(b)])

const problemsOf = (read: Result.Result<unknown, Problems>): Problems => Result.isFailure(read) ? read.failure : []

const fieldOf = ({ default: fallback, schema }: Setting) =>
  fallback === undefined
    ? Schema.optionalKey(schema)
    : schema.pipe(Schema.withDecodingDefaultKey(Effect.succeed(fallback)))

const textOf = (name: SettingName, texts: SettingTexts): string | undefined => {
  const source = sourceOf(name, texts)
  return texts[source === `${name}_FILE` ? name : source]
}

const aliasProblem = (name: SettingName, texts: SettingTexts): Problems => {
  const { alias } = settingOf(name)
  const other = alias === undefined ? undefined : texts[alias as Variable]
  return other === undefined || texts[name] === undefined || other === texts[name]
    ? []
    : [{ variable: name, found: `differs from ${alias}`, allowed: "one of the two, or the same value" }]
}

/** Only the messages of the settings: those of the library repeat the expected values, which `accepts` has in plain words. */
const formatIssue = SchemaIssue.makeFormatterStandardSchemaV1({
  leafHook: (issue) => issue._tag === "InvalidValue" && issue.annotations?.message || "",
  checkHook: (issue) => SchemaIssue.defaultCheckHook(issue) ?? ""
})

const reported = (issue: SchemaIssue.Issue, texts: SettingTexts): Problems =>
  formatIssue(issue).issues.map(({ message, path }) => {
    const name = settingNames.find((name) => name === path?.[0])!
    const { accepts, fromFile } = settingOf(name)
    const generic = fromFile === true ? "has a value that cannot be used" : `is ${quoted(textOf(name, texts) ?? "")}`
    return { variable: sourceOf(name, texts), found: message === "" ? generic : message, allowed: accepts }
  })
