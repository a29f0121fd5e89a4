/** Reads secrets, those in files again at every use: a file may be rotated while the process runs. */
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import type { Parsed } from "../../domain/setting.ts"
import { type Secret, SecretError } from "../../services/Config.ts"

/**
 * Reads the file that `variable` names, without the newline at its end; never suspends.
 *
 * Fails: `SecretError` where it cannot be read or is empty. The path is not part of it: people paste the secret in its place.
 */
export const readSecretFile = (variable: string, path: string): Effect.Effect<string, SecretError> =>
  Effect.try({
    try: () => readFileSync(path, "utf8").replace(/\r?\n$/, ""),
    catch: (cause) => `cannot be read (${(cause as NodeJS.ErrnoException).code ?? "unknown error"})`
  }).pipe(
    Effect.filterOrFail((text) => text !== "", () => "is empty"),
    Effect.mapError((why) => new SecretError({ variable, reason: `names a file that ${why}` }))
  )

/** Where a secret is: in the variable `name` itself, or in a file that `<name>_FILE` names. */
export interface SecretPlace {
  readonly name: string
  readonly text: string | undefined
  readonly path: string | undefined
}

/** A secret that is read from its place, and checked by `parse`, at every use. */
export const secretFrom = <A>(
  { name, path, text = "" }: SecretPlace,
  parse: (text: string) => Parsed<A>
): Secret<A> => {
  const variable = path === undefined ? name : `${name}_FILE`
  const checked = (text: string) =>
    Effect.mapError(
      Effect.fromResult(parse(text)),
      ({ found }) => new SecretError({ variable, reason: found })
    )
  return {
    variable,
    mayChange: path !== undefined,
    read: path === undefined
      ? Effect.suspend(() => checked(text))
      : Effect.flatMap(readSecretFile(variable, path), checked)
  }
}
