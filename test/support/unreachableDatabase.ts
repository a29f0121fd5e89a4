/** A database for the settings of tests that connect to none. */
import { Effect } from "effect"
import type { TestDatabase } from "./postgres.ts"

export const unreachableDatabase: TestDatabase = {
  url: "postgresql://u:p@127.0.0.1:1/d",
  schema: "s",
  query: () => Effect.die("no database")
}
