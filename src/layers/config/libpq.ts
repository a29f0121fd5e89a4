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

/** A sentence for each variable that is set and has no effect. */
export const ignoredRemarks = (texts: { readonly [name: string]: string | undefined }): ReadonlyArray<string> =>
  ignoredNames.filter((name) => texts[name] !== undefined).map((name) =>
    `The environment variable ${name} is ignored; write what it stands for into DATABASE_URL or the DATABASE_* variables`
  )
