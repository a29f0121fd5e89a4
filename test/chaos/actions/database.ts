/** What happens to the PostgreSQL server. */
import type { Acts } from "./act.ts"

export const databaseActs = {
  "pg-crash": ({ postgres }, { millis }) => postgres.restart("immediate", millis),
  "pg-restart": ({ postgres }, { millis }) => postgres.restart("fast", millis),
  "pg-promote-replica": ({ postgres }, { millis }) => postgres.failover(millis)
} as const satisfies Acts<string>
