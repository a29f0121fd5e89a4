/** Reads PGPASSFILE, or ~/.pgpass, in the way of libpq: nothing where the file is missing or others may read it. */
declare module "pgpass" {
  interface ConnectionInfo {
    readonly host: string
    readonly port: number
    readonly user: string
    readonly database: string
  }
  export default function pgPass(info: ConnectionInfo, done: (password: string | undefined) => void): void
}
