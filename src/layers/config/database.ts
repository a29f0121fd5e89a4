/** The target database from `DATABASE_URL` or the parts beside it, and below them the variables of libpq. */
import { Effect, Result } from "effect"
import { parseDatabaseUrl } from "../../domain/database/databaseUrl.ts"
import {
  type DatabaseParameters,
  type DatabaseTarget,
  databaseTargetFromParameters,
  databaseTargetFromUrl,
  type InvalidDatabaseTarget,
  parameterProblem
} from "../../domain/DatabaseTarget.ts"
import {
  decodeSettings,
  type InvalidSetting,
  type Problems,
  type SettingProblem,
  sourceOf
} from "../../domain/settings/decode.ts"
import { type SettingName, settingNames, settingOf } from "../../domain/settings/settings.ts"
import { type Secret, SecretError } from "../../services/Config.ts"
import { tlsFileProblems } from "./tlsFiles.ts"
import { readSecretFiles, type Texts } from "./variables.ts"

/** Reads the target, with the files of certificates that it names checked. Succeeds with the problems where it is not usable. */
export const readDatabase = Effect.fnUntraced(function*(texts: Texts) {
  const read = targetOf(texts)
  if (Result.isFailure(read)) return read
  const problems = (yield* tlsFileProblems(read.success)).map(({ parameter, problem }) =>
    problemOf(variableOf(texts, parameter), problem)
  )
  return problems.length === 0 ? read : Result.fail(problems)
})

/** The target as it is now: of the texts that were given, with their secret files read again. */
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

const libpqNames = settingNames.filter((name) => settingOf(name).section === "libpq")

const problemOf = (variable: string, { allowed, found }: InvalidSetting | InvalidDatabaseTarget): SettingProblem => ({
  variable,
  found,
  allowed
})

const targetOf = (texts: Texts): Result.Result<DatabaseTarget, Problems> => {
  const problems: Array<SettingProblem> = []
  const parametersOf = (names: ReadonlyArray<SettingName>): DatabaseParameters =>
    names.flatMap((variable) => {
      const [value, { parameter }] = [texts[variable], settingOf(variable)]
      if (value === undefined || parameter === undefined) return []
      const problem = parameterProblem(parameter, value)
      if (problem === undefined) return [[parameter, value] as const]
      problems.push(problemOf(variable, problem))
      return []
    })
  const libpq = parametersOf(libpqNames)
  const ours = parametersOf(["DATABASE_PASSWORD", "DATABASE_SSLMODE", "DATABASE_SSLROOTCERT"])
  const url = texts.DATABASE_URL
  const parts = url === undefined && texts.DATABASE_URL_FILE === undefined
    ? parametersOf(["DATABASE_HOST", "DATABASE_USER", "DATABASE_NAME"])
    : []
  if (url === undefined) problems.push(...partProblems(texts))
  if (problems.length > 0) return Result.fail(problems)
  const defaults = [...libpq, ...ours]
  const port = texts.DATABASE_PORT
  return Result.mapError(
    url === undefined
      ? databaseTargetFromParameters([...defaults, ...parts, ...(port === undefined ? [] : [["port", port] as const])])
      : databaseTargetFromUrl(url, defaults),
    (problem) => [problemOf(variableOf(texts, undefined), problem)]
  )
}

/** What is wrong where there is no URL. */
const partProblems = (texts: Texts): Problems => {
  // Its file could not be read, which is reported already.
  if (texts.DATABASE_URL_FILE !== undefined) return [problemOf("DATABASE_URL_FILE", unreadable)]
  const problems: Array<SettingProblem> = []
  const port = decodeSettings(["DATABASE_PORT"], texts)
  if (Result.isFailure(port)) problems.push(...port.failure)
  const user = texts.DATABASE_USER ?? texts.PGUSER
  const name = texts.DATABASE_NAME ?? texts.PGDATABASE
  const missing = { found: "is not set", allowed: "DATABASE_URL, or DATABASE_USER together with DATABASE_NAME" }
  if (user === undefined && name === undefined) problems.push(problemOf("DATABASE_URL", missing))
  else if (user === undefined) problems.push(problemOf("DATABASE_USER", missing))
  else if (name === undefined) problems.push(problemOf("DATABASE_NAME", missing))
  return problems
}

const unreadable = { found: "names a file that cannot be read", allowed: "the path of a file that is not empty" }

const inUrl = ({ DATABASE_URL: url }: Texts, parameter: string): boolean =>
  url !== undefined && Result.match(parseDatabaseUrl(url), {
    onFailure: () => false,
    onSuccess: ({ parameters, password }) =>
      parameters.some(([name]) => name === parameter) || (parameter === "password" && password !== undefined)
  })

/** The variable that a parameter comes from; that of the whole target where it is not known. */
const variableOf = (texts: Texts, parameter: string | undefined): string => {
  const whole = texts.DATABASE_URL === undefined ? "DATABASE_USER" : sourceOf("DATABASE_URL", texts)
  if (parameter === undefined || inUrl(texts, parameter)) return whole
  if (parameter === "password" && texts.DATABASE_PASSWORD !== undefined) return sourceOf("DATABASE_PASSWORD", texts)
  if (parameter === "sslrootcert" && texts.DATABASE_SSLROOTCERT !== undefined) return "DATABASE_SSLROOTCERT"
  return libpqNames.find((name) => settingOf(name).parameter === parameter && texts[name] !== undefined) ?? whole
}

/** The variable to look at when the server refuses the login: a file rather than another, because it may change. */
const loginVariable = (texts: Texts): string => {
  const password = variableOf(texts, "password")
  return password.endsWith("_FILE") || texts.DATABASE_URL_FILE === undefined ? password : "DATABASE_URL_FILE"
}
