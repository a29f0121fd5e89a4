/** The definition of one setting: everything that decoding, messages and documentation need. */
import type { Schema } from "effect"

/** A verb of the command line that reads settings. */
export type Verb =
  | "sync"
  | "plan"
  | "resync"
  | "rewind"
  | "status"
  | "grants"
  | "doctor"
  | "verify"
  | "publish"
  | "init"
  | "health"
  | "simulate"
  | "demo"

/** The chapter of the documentation that a setting belongs to. */
export type SettingSection =
  | "dataset"
  | "database"
  | "server"
  | "writing"
  | "limits"
  | "health"
  | "telemetry"
  | "logging"
  | "libpq"

/** One setting; `A` is the type of its decoded value. */
export interface Setting<A = unknown> {
  /** From the text of the variable, trimmed and not empty. */
  readonly schema: Schema.Codec<A, string>
  /** The accepted values, as a phrase: `a whole number from 1 to 512`. */
  readonly accepts: string
  /** The text that is used where the variable is not set; absent where there is none. */
  readonly default?: string
  /** The meaning of a variable without a default that is not set. */
  readonly whenUnset?: string
  /** One sentence, with its unit. */
  readonly description: string
  readonly section: SettingSection
  /** The verbs that read it, and that fail where its value is wrong. */
  readonly verbs: ReadonlyArray<Verb>
  /** A secret: `<name>_FILE` may name a file that contains it, and no message contains it. */
  readonly fromFile?: true
  /** Another name of the same setting. */
  readonly alias?: string
  /** The parameter of libpq that the value becomes, as in the query of `DATABASE_URL`. */
  readonly parameter?: string
}
