/**
 * The variables of libpq that have no effect in ampsync; those that have one are settings.
 *
 * PGPASSFILE is read by the library for password files. Source: PostgreSQL documentation, libpq, "Environment Variables".
 */

/** In libpq they change the server it connects to, or its requirements on the server. */
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
