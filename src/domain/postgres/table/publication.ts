/**
 * Tables for followers of the write-ahead log (CDC): in a publication, and with all columns of a deleted row in the log.
 *
 * Source: PostgreSQL, doc "Logical Replication"; ElectricSQL, docs "PostgreSQL Permissions": it asks for both.
 */
import { quoteIdentifier } from "./identifiers.ts"
import { qualifiedName } from "./tableDdl.ts"

/** A publication and a table according to the catalog. */
export interface FoundPublication {
  readonly exists: boolean
  /** It has every table of the database, and none can be added. */
  readonly isForAllTables: boolean
  /** This role may add tables to it. */
  readonly isOwn: boolean
  /** Of insert, update and delete those that it leaves out. */
  readonly missingKinds: ReadonlyArray<string>
  /** The table is in it. */
  readonly isMember: boolean
  /** This role may alter the table. */
  readonly ownsTable: boolean
  /** The table or partitions of it whose replica identity is not FULL, as `"schema"."table"`. */
  readonly withoutFullIdentity: ReadonlyArray<string>
}

/**
 * Reads a `FoundPublication`; parameters: publication, schema, table.
 *
 * A partition has an identity of its own, and is what `pg_publication_tables` names for a partitioned table.
 */
export const PUBLICATION_OF_TABLE = `
  SELECT p.oid IS NOT NULL AS exists, coalesce(p.puballtables, false) AS "isForAllTables",
    coalesce(pg_has_role(p.pubowner, 'USAGE'), false) AS "isOwn",
    to_jsonb(array_remove(ARRAY[CASE WHEN NOT p.pubinsert THEN 'insert' END, CASE WHEN NOT p.pubupdate THEN 'update' END,
      CASE WHEN NOT p.pubdelete THEN 'delete' END], NULL)) AS "missingKinds",
    EXISTS (SELECT FROM pg_publication_rel WHERE prpubid = p.oid AND prrelid = c.oid) OR EXISTS (
      SELECT FROM pg_publication_tables WHERE pubname = p.pubname AND schemaname = n.nspname AND tablename = c.relname
    ) AS "isMember",
    coalesce(pg_has_role(c.relowner, 'USAGE'), true) AS "ownsTable",
    to_jsonb(ARRAY(
      SELECT format('%I.%I', pn.nspname, part.relname) FROM pg_class part JOIN pg_namespace pn ON pn.oid = part.relnamespace
      WHERE (part.oid = c.oid OR part.oid IN (SELECT relid FROM pg_partition_tree(c.oid))) AND part.relreplident <> 'f'
      ORDER BY part.oid <> c.oid, 1)) AS "withoutFullIdentity"
  FROM (SELECT) AS one LEFT JOIN pg_publication p ON p.pubname = $1
    LEFT JOIN (pg_namespace n JOIN pg_class c ON c.relnamespace = n.oid) ON n.nspname = $2 AND c.relname = $3`

type Table = { readonly schema: string; readonly table: string }

/** An empty publication, to which tables are added as they are made. Followers see a partitioned table as one. */
export const createPublication = (publication: string): string =>
  `CREATE PUBLICATION ${quoteIdentifier(publication)} WITH (publish_via_partition_root = true)`

/** Statements after which the table is in the publication, with a replica identity of all columns. */
export const publishTable = (
  publication: string,
  table: Table,
  found: FoundPublication,
  isNew: boolean
): ReadonlyArray<string> => [
  ...(isNew ? [qualifiedName(table)] : found.withoutFullIdentity).map((name) =>
    `ALTER TABLE ${name} REPLICA IDENTITY FULL`
  ),
  ...(found.isForAllTables || (found.isMember && !isNew)
    ? []
    : [`ALTER PUBLICATION ${quoteIdentifier(publication)} ADD TABLE ${qualifiedName(table)}`])
]

/** Why `publishTable` would be refused, with the statements for a role that may run them; undefined where it would not be. */
export const publishingProblem = (
  publication: string,
  found: FoundPublication,
  statements: ReadonlyArray<string>
): string | undefined => {
  if (statements.length === 0) return undefined
  const isAltered = statements.some((statement) => statement.startsWith("ALTER TABLE"))
  const isAdded = statements.some((statement) => statement.startsWith("ALTER PUBLICATION"))
  const why = isAltered && !found.ownsTable
    ? "CDC_READY needs the replica identity FULL, which only the owner of the table may set"
    : isAdded && (!found.ownsTable || (found.exists && !found.isOwn))
    ? `CDC_READY needs the table in publication "${publication}", and only one who owns both may add it`
    : undefined
  return why === undefined ? undefined : `${why}; run as such a role: ${statements.join("; ")}`
}

/** What a follower of the publication would miss; undefined where nothing. */
export const missedChanges = (publication: string, { missingKinds }: FoundPublication): string | undefined =>
  missingKinds.length === 0
    ? undefined
    : `publication "${publication}" leaves out ${
      missingKinds.join(" and ")
    }, so its subscribers keep rows that are wrong; run ` +
      `ALTER PUBLICATION ${quoteIdentifier(publication)} SET (publish = 'insert, update, delete, truncate')`
