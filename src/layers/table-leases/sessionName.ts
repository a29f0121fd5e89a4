/** The names of a writer in the bookkeeping and of its sessions in `pg_stat_activity`. */
import { createHash } from "node:crypto"

/** Most bytes of an `application_name`: NAMEDATALEN - 1. */
const MAX_BYTES = 63
const HASH_DIGITS = 16

/** `id`: eight hexadecimal digits, unique per process. */
export const writerName = (host: string, processId: number, id: string): string => `${host} pid ${processId} (${id})`

/** The `id` in the name of a writer; undefined where there is none. */
export const writerIdOf = (writer: string): string | undefined => /\(([0-9a-f]{8})\)$/.exec(writer)?.[1]

/**
 * The `application_name` of a writer's transactions on one table, unique per writer and table.
 *
 * Shape: `ampsync <writer> <table>`. PostgreSQL truncates a longer name and replaces all but printable ASCII, so such a
 * name ends in a hash of the table's.
 */
export const sessionName = (writerId: string, table: string): string => {
  const prefix = `ampsync ${writerId} `
  const room = MAX_BYTES - prefix.length
  if (/^[\x20-\x7e]*$/.test(table) && table.length <= room) return prefix + table
  const hash = createHash("sha256").update(table).digest("hex").slice(0, HASH_DIGITS)
  const readable = table.replaceAll(/[^\x20-\x7e]/g, "?").slice(0, room - HASH_DIGITS - 1)
  return `${prefix}${readable}~${hash}`
}
