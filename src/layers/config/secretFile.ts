/** Reads secrets, those in files again at every use: a file may be rotated while the process runs. */
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { errorCode } from "../../domain/errorCode.ts"
import { decodeText, type SettingsOf, type SettingTexts, sourceOf } from "../../domain/settings/decode.ts"
import type { SecretName } from "../../domain/settings/settings.ts"
import { type Secret, SecretError } from "../../services/Config.ts"

/**
 * Reads the file that `variable` names, without the newline at its end; never suspends.
 *
 * Fails: `SecretError` where it cannot be read or is empty. The error omits the path: people paste the secret in its place.
 */
export const readSecretFile = (variable: string, path: string): Effect.Effect<string, SecretError> =>
  Effect.try({
    try: () => readFileSync(path, "utf8").replace(/\r?\n$/, ""),
    catch: (cause) => `cannot be read (${errorCode(cause)})`
  }).pipe(
    Effect.filterOrFail((text) => text !== "", () => "is empty"),
    Effect.mapError((why) => new SecretError({ variable, reason: `names a file that ${why}` }))
  )

/** A secret setting, read from its file or from `texts` and decoded at every use; undefined where it is not set. */
export const secretFrom = <N extends SecretName>(
  name: N,
  texts: SettingTexts
): Secret<NonNullable<SettingsOf<N>[N]>> | undefined => {
  const [variable, path, text] = [sourceOf(name, texts), texts[`${name}_FILE`], texts[name]]
  if (text === undefined && path === undefined) return undefined
  const decoded = (text: string) =>
    Effect.mapError(
      Effect.fromResult(decodeText(name, text)),
      ({ found }) => new SecretError({ variable, reason: found })
    )
  return {
    variable,
    mayChange: path !== undefined,
    read: path === undefined
      ? Effect.suspend(() => decoded(text ?? ""))
      : Effect.flatMap(readSecretFile(variable, path), decoded)
  }
}
