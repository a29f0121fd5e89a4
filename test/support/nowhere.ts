/** Settings that no test of a program without a database connects to. */
import { Effect } from "effect"
import type { TestDatabase } from "./postgres.ts"

export const nowhere: TestDatabase = {
  url: "postgresql://u:p@127.0.0.1:1/d",
  schema: "s",
  query: () => Effect.die("no database")
}
