/** Judges whether followers of the write-ahead log can follow the tables. */
import { formatBytes } from "../numbers.ts"
import { type Finding, ok, problem, warning } from "./Finding.ts"
import type { PublishedTable, ReplicationFacts } from "./ReplicationFacts.ts"

/** As much as the server keeps in `pg_wal` anyway, by default. */
const MUCH_LOG_BYTES = 1024 ** 3

const LOGICAL = "set wal_level = logical and start PostgreSQL again"

/** `publication`: that of CDC_READY; undefined where it is off. */
export const replicationFinding = (
  published: ReadonlyArray<PublishedTable>,
  publication: string | undefined,
  facts: ReplicationFacts
): Finding => {
  const refusing = published.filter(({ refusesDelete }) => refusesDelete)
  if (refusing.length > 0) {
    const names = refusing.map(({ publication, table }) => `table "${table}" in publication "${publication}"`)
    return problem(
      `${names.join(", ")}: without a replica identity PostgreSQL refuses every DELETE (55000), and so every reorg`,
      "run ALTER TABLE ... REPLICA IDENTITY FULL, give it a primary key, or take it out of the publication"
    )
  }
  const names = [
    ...new Set([...published.map((table) => table.publication), ...(publication === undefined ? [] : [publication])])
  ]
  if (names.length === 0) return ok("none has tables of the sync")
  if (facts.walLevel !== "logical") {
    return warning(`wal_level is ${facts.walLevel}, so nobody can follow ${names.join(", ")}`, LOGICAL)
  }
  const idle = facts.idleSlots.filter(({ keptBytes = 0 }) => keptBytes > MUCH_LOG_BYTES)
  if (idle.length > 0) {
    const limit = facts.maxKeptBytes === undefined
      ? "nothing limits it (max_slot_wal_keep_size), and a full disk stops the server"
      : `a slot that needs more than ${formatBytes(facts.maxKeptBytes)} is lost (max_slot_wal_keep_size)`
    return warning(
      `nobody reads ${
        idle.map(({ keptBytes, name }) => `slot "${name}", for which ${formatBytes(keptBytes!)} of log are kept`).join(
          ", "
        )
      }: ${limit}`,
      "start its follower, or drop it: SELECT pg_drop_replication_slot(...)"
    )
  }
  if (facts.slots >= facts.maxSlots) {
    return warning(
      `all ${facts.maxSlots} replication slots are taken (max_replication_slots), so no other follower can begin`,
      "raise it and start PostgreSQL again, or drop slots that nobody uses"
    )
  }
  return ok(
    `${names.join(", ")}: rows may be deleted; ${facts.slots} of ${facts.maxSlots} replication slots are taken, and ` +
      `${facts.maxSenders} followers may be connected`
  )
}
