/** The names of all settings, and where their texts come from. */
import { Config, Effect, Option, Redacted } from "effect"
import { resembling } from "../../domain/resemblance.ts"
import type { ConfigProblem } from "../../services/Config.ts"
import { libpqVariables } from "./libpq.ts"
import { readSecretFile } from "./secretFile.ts"

/** Secrets, which may also stand in a file that `<name>_FILE` names. */
const secrets = ["DATABASE_URL", "DATABASE_PASSWORD", "AMP_AUTH_TOKEN"] as const

const ownVariables = [
  "DATASET_MANIFEST",
  "DATASET",
  "TABLES",
  "VERSION_POLL_INTERVAL_SECS",
  ...secrets,
  "DATABASE_URL_FILE",
  "DATABASE_PASSWORD_FILE",
  "AMP_AUTH_TOKEN_FILE",
  "DATABASE_USER",
  "DATABASE_NAME",
  "DATABASE_HOST",
  "DATABASE_PORT",
  "DATABASE_SSLMODE",
  "DATABASE_SSLROOTCERT",
  "DATABASE_SCHEMA",
  "AMP_FLIGHT_ADDR",
  "AMP_ADMIN_API_ADDR",
  "GRPC_MAX_DECODE_MB",
  // The name the present upstream gives to the same setting.
  "AMPSYNC_GRPC_MAX_DECODE_MB",
  "GRPC_PING_INTERVAL_SECS",
  "MAX_CONCURRENT_BATCHES",
  "MAX_DB_CONNECTIONS",
  "RETENTION_BLOCKS",
  "ON_CHAIN_RESET",
  "NOTIFY_ON_COMMIT",
  "TEXT_NUL",
  "RUST_LOG"
] as const

export const variables = [...ownVariables, ...libpqVariables] as const

export type Variable = typeof variables[number]

/** What is set, as text; an empty text is not set. */
export type Texts = { readonly [V in Variable]?: string }

/** What a host program may pass for each variable. */
export type SettingValues = {
  readonly [V in Variable]?: string | number | boolean | URL | Redacted.Redacted<string> | undefined
}

/** A variable that is none of ours, and the one it looks like. */
export interface Slip {
  readonly name: string
  readonly meant: typeof ownVariables[number]
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
  wanted: ReadonlyArray<typeof secrets[number]> = secrets
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
