/** The publications that contain tables of a sync. */
import type { PublishedTable } from "../../domain/health/ReplicationFacts.ts"
import type { RunStatement } from "../../services/PgPool.ts"

/**
 * A table that is published with its deletions needs a replica identity: all columns (`f`), an index that is there (`i`), or by
 * default its primary key (`d`). Source: PostgreSQL, executor/execReplication.c, `CheckCmdReplicaIdentity`.
 */
const PUBLISHED = `
  SELECT DISTINCT c.relname::text AS table, p.pubname::text AS publication,
    p.pubdelete AND c.relreplident <> 'f' AND NOT EXISTS (
      SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisvalid
        AND CASE c.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident ELSE false END
    ) AS "refusesDelete"
  FROM pg_publication_tables t JOIN pg_publication p USING (pubname)
  JOIN pg_namespace n ON n.nspname = t.schemaname JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = t.tablename
  WHERE t.schemaname = $1 AND (c.relname = ANY($2) OR starts_with(c.relname, '_ampsync_'))
  ORDER BY 1, 2`

export const publishedTables = (run: RunStatement, schema: string, tables: ReadonlyArray<string>) =>
  run<PublishedTable>(PUBLISHED, [schema, tables])
