/** The target database from `DATABASE_URL` or the `DATABASE_*` variables, which take precedence over those of libpq. */
import { Effect, Result } from "effect"
import { parseDatabaseUrl } from "../../domain/settings/database/databaseUrl.ts"
import {
  type DatabaseTarget,
  databaseTargetFromParameters,
  databaseTargetFromUrl,
  type InvalidDatabaseTarget,
  parameterProblem
} from "../../domain/settings/DatabaseTarget.ts"
import {
  decodeText,
  type InvalidSetting,
  type Problems,
  type SettingProblem,
  sourceOf
} from "../../domain/settings/decode.ts"
import { type SettingName, settingNames, settingOf } from "../../domain/settings/settings.ts"
import { type DatabaseOrigins, type Secret, SecretError } from "../../services/Config.ts"
import { tlsFileProblems } from "./tlsFiles.ts"
import { readSecretFiles, type Texts } from "./variables.ts"

/** Reads the target and checks the certificate files that it names. Succeeds with the problems where it is not usable. */
export const readDatabase = Effect.fnUntraced(function*(texts: Texts) {
  const read = targetOf(texts)
  if (Result.isFailure(read)) return read
  const problems = (yield* tlsFileProblems(read.success)).map(({ parameter, problem }) =>
    problemOf(variableOf(texts, parameter), problem)
  )
  return problems.length === 0 ? read : Result.fail(problems)
})

/** The target, with the secret files in `given` read again at every use. */
export const databaseSecret = (given: Texts, texts: Texts): Secret<DatabaseTarget> => {
  const variable = loginVariable(texts)
  return {
    variable,
    mayChange: variable.endsWith("_FILE"),
    read: readSecretFiles(given, ["DATABASE_URL", "DATABASE_PASSWORD"]).pipe(
      Effect.flatMap(({ problems, texts }) =>
        problems.length > 0 ? Effect.fail(problems) : Effect.fromResult(targetOf(texts))
      ),
      Effect.mapError(([problem]) =>
        new SecretError({ variable: problem?.variable ?? variable, reason: problem?.found ?? "" })
      )
    )
  }
}

/** The variables to check where the server is not the one that is meant, or refuses a part of the login. */
export const databaseOrigins = (texts: Texts): DatabaseOrigins => {
  const from = (parameter: string, unset: string) => {
    const inParts = parametersOf(texts).some((_) => _.parameter === parameter)
    return inUrl(texts, parameter) || inParts ? variableOf(texts, parameter) : unset
  }
  const whole = texts.DATABASE_URL === undefined ? undefined : sourceOf("DATABASE_URL", texts)
  return {
    host: from("host", whole ?? "DATABASE_HOST"),
    user: from("user", whole ?? "DATABASE_USER"),
    dbname: from("dbname", whole ?? "DATABASE_NAME"),
    sslmode: from("sslmode", "DATABASE_SSLMODE")
  }
}

/** Settings that are parameters of libpq: its own variables first, because the `DATABASE_*` ones take precedence. */
const parameterNames: ReadonlyArray<SettingName> = [true, false].flatMap((isLibpq) =>
  settingNames.filter((name) =>
    settingOf(name).parameter !== undefined && (settingOf(name).section === "libpq") === isLibpq
  )
)

/** The settings that `DATABASE_URL` replaces. */
const partNames: ReadonlyArray<SettingName> = ["DATABASE_HOST", "DATABASE_PORT", "DATABASE_USER", "DATABASE_NAME"]

interface Parameter {
  readonly name: SettingName
  readonly parameter: string
  readonly value: string
}

/** The parameters that are set outside of the URL; later ones override earlier ones. */
const parametersOf = (texts: Texts): ReadonlyArray<Parameter> => {
  const hasUrl = texts.DATABASE_URL !== undefined || texts.DATABASE_URL_FILE !== undefined
  return parameterNames.filter((name) => !(hasUrl && partNames.includes(name))).flatMap((name) => {
    const [value, { parameter }] = [texts[name], settingOf(name)]
    return value === undefined || parameter === undefined ? [] : [{ name, parameter, value }]
  })
}

const targetOf = (texts: Texts): Result.Result<DatabaseTarget, Problems> => {
  const [parameters, url] = [parametersOf(texts), texts.DATABASE_URL]
  const problems = [...parameters.flatMap(parameterProblems), ...(url === undefined ? missing(texts) : [])]
  if (problems.length > 0) return Result.fail(problems)
  const values = parameters.map(({ parameter, value }) => [parameter, value] as const)
  return Result.mapError(
    url === undefined ? databaseTargetFromParameters(values) : databaseTargetFromUrl(url, values),
    (problem) => [problemOf(variableOf(texts, problem.parameter), problem)]
  )
}

const problemOf = (variable: string, { allowed, found }: InvalidSetting | InvalidDatabaseTarget): SettingProblem => ({
  variable,
  found,
  allowed
})

const parameterProblems = ({ name, parameter, value }: Parameter): Problems => {
  const decoded = decodeText(name, value)
  const problem = Result.isFailure(decoded) ? decoded.failure : parameterProblem(parameter, value)
  return problem === undefined ? [] : [problemOf(name, problem)]
}

/** The problem of settings that are missing where there is no URL. */
const missing = (texts: Texts): Problems => {
  // Only the file could not be read, so no other variable is missing.
  if (texts.DATABASE_URL_FILE !== undefined) return [problemOf("DATABASE_URL_FILE", unreadable)]
  const isSet = (parameter: string) => parametersOf(texts).some((_) => _.parameter === parameter)
  if (isSet("user") && isSet("dbname")) return []
  const variable = isSet("user") ? "DATABASE_NAME" : isSet("dbname") ? "DATABASE_USER" : "DATABASE_URL"
  return [{ variable, found: "is not set", allowed: "DATABASE_URL, or DATABASE_USER together with DATABASE_NAME" }]
}

const unreadable = { found: "names a file that cannot be read", allowed: "the path of a file that is not empty" }

const inUrl = ({ DATABASE_URL: url }: Texts, parameter: string): boolean =>
  url !== undefined && Result.match(parseDatabaseUrl(url), {
    onFailure: () => false,
    onSuccess: ({ parameters, ...parts }) =>
      parameters.some(([name]) => name === parameter) ||
      parts[parameter === "dbname" ? "database" : parameter as keyof typeof parts] !== undefined
  })

/** The variable that a parameter comes from; the one of the whole target where unknown. */
const variableOf = (texts: Texts, parameter: string | undefined): string => {
  const whole = texts.DATABASE_URL === undefined ? "DATABASE_USER" : sourceOf("DATABASE_URL", texts)
  if (parameter === undefined || inUrl(texts, parameter)) return whole
  const found = parametersOf(texts).findLast((_) => _.parameter === parameter)
  return found === undefined ? whole : sourceOf(found.name, texts)
}

/** The variable to check when the server refuses the login; a file has priority, because it may change. */
const loginVariable = (texts: Texts): string => {
  const password = variableOf(texts, "password")
  return password.endsWith("_FILE") || texts.DATABASE_URL_FILE === undefined ? password : "DATABASE_URL_FILE"
}
