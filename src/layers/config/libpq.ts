/**
 * The variables of libpq that have no effect here; those that have one are settings.
 *
 * PGPASSFILE is left to the library that reads password files. Source: PostgreSQL documentation, libpq, "Environment Variables".
 */

/** They would change where libpq connects to, or what it demands of the server. */
export const ignoredNames = [
  "PGSERVICE",
  "PGSERVICEFILE",
  "PGHOSTADDR",
  "PGREQUIREAUTH",
  "PGREQUIRESSL",
  "PGREQUIREPEER",
  "PGSSLNEGOTIATION",
  "PGSSLCERTMODE",
  "PGSSLCRL",
  "PGSSLCRLDIR",
  "PGSSLMINPROTOCOLVERSION",
  "PGSSLMAXPROTOCOLVERSION",
  "PGGSSENCMODE"
] as const

export type IgnoredName = typeof ignoredNames[number]
