/**
 * The variables of libpq: those that stand in for what our own leave out, and those that have no effect here.
 *
 * PGPASSFILE is left to the library that reads password files. Source: PostgreSQL documentation, libpq, "Environment Variables".
 */

/** Each with the parameter it is the default of. */
export const libpqParameters = {
  PGHOST: "host",
  PGPORT: "port",
  PGUSER: "user",
  PGDATABASE: "dbname",
  PGPASSWORD: "password",
  PGSSLMODE: "sslmode",
  PGSSLROOTCERT: "sslrootcert",
  PGSSLCERT: "sslcert",
  PGSSLKEY: "sslkey",
  PGAPPNAME: "application_name",
  PGCONNECT_TIMEOUT: "connect_timeout",
  PGOPTIONS: "options",
  PGTARGETSESSIONATTRS: "target_session_attrs",
  PGCHANNELBINDING: "channel_binding"
} as const

/** They would change where libpq connects to, or what it demands of the server. */
const ignored = [
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

type LibpqParameter = keyof typeof libpqParameters

export const libpqNames = Object.keys(libpqParameters) as ReadonlyArray<LibpqParameter>

export const libpqVariables: ReadonlyArray<LibpqParameter | typeof ignored[number]> = [...libpqNames, ...ignored]

/** A sentence for each variable that is set and has no effect. */
export const ignoredRemarks = (texts: { readonly [name: string]: string | undefined }): ReadonlyArray<string> =>
  ignored.filter((name) => texts[name] !== undefined).map((name) =>
    `The environment variable ${name} is ignored; write what it stands for into DATABASE_URL or the DATABASE_* variables`
  )
