/** What is known of one setting: everything that decoding, messages and documentation need. */
import type { Schema } from "effect"

/** A verb of the command line that reads settings. */
export type Verb = "sync" | "plan" | "resync"

/** Where a setting belongs among the others: a chapter of the documentation. */
export type SettingSection = "dataset" | "database" | "server" | "writing" | "limits" | "health" | "logging" | "libpq"

export interface Setting<A = unknown> {
  /** From the text of the variable, trimmed and not empty. */
  readonly schema: Schema.Codec<A, string>
  /** What the variable may hold, as a phrase: `a whole number from 1 to 512`. */
  readonly accepts: string
  /** The text that stands in where the variable is not set; absent where there is none. */
  readonly default?: string
  /** What it means that a variable without a default is not set. */
  readonly whenUnset?: string
  /** One sentence, with its unit. */
  readonly description: string
  readonly section: SettingSection
  /** The verbs that read it, and end where its value is wrong. */
  readonly verbs: ReadonlyArray<Verb>
  /** A secret: `<name>_FILE` may name a file that holds it, and no message repeats it. */
  readonly fromFile?: true
  /** Another name of the same setting. */
  readonly alias?: string
  /** The parameter of libpq that the value becomes, as in the query of `DATABASE_URL`. */
  readonly parameter?: string
}
