import { RANGE_END } from "../../domain/postgres/table/tableDdl.ts"

/**
 * The newest block at which all tables of a dataset show the same chain.
 *
 * Two tables that both recorded a block with the same hash show the same chain at every block up to it, because each is
 * complete below its watermarks. `shared` has these links: all tables with one block and hash are linked through the first of
 * them. `joined` begins with one table and adds, again and again, the one that is linked to it by the newest block, so that the
 * oldest link it had to use is the newest block up to which all of them agree (Prim's maximum spanning tree).
 *
 * Not every watermark counts: from an unverified one on, rows may be those of another chain. A table without a watermark is
 * linked to none. A table by range has rows at the ends of its ranges only, and shows nothing whole in between.
 *
 * Columns may only be added at the end: the view of an earlier version is replaced while others depend on it.
 */
export const latestView = (schema: string): string =>
  `CREATE OR REPLACE VIEW ${schema}._ampsync_latest AS
   WITH RECURSIVE synced AS (
     SELECT c.table_name, c.dataset, c.network, c.max_block_num, c.unverified_from,
       coalesce(c.position_column = '${RANGE_END}', false) AS by_range
     FROM ${schema}._ampsync_checkpoints c JOIN ${schema}._ampsync_progress p USING (table_name)
     WHERE c.dataset IS NOT NULL AND p.state <> 'removed'
   ), datasets AS (
     SELECT n.dataset, n.network, array_agg(s.table_name ORDER BY s.table_name) AS tables,
       count(*) FILTER (WHERE s.by_range) AS by_range
     FROM (SELECT DISTINCT dataset, network FROM synced WHERE network IS NOT NULL) n
     JOIN synced s ON s.dataset = n.dataset AND (s.network = n.network OR s.network IS NULL)
     GROUP BY n.dataset, n.network
   ), entries AS MATERIALIZED (
     SELECT s.dataset, s.network, s.table_name, s.by_range, w.block_num, w.hash
     FROM synced s JOIN ${schema}._ampsync_watermarks w USING (table_name)
     WHERE w.block_num <= s.max_block_num AND (s.unverified_from IS NULL OR w.block_num < s.unverified_from)
   ), shared AS MATERIALIZED (
     SELECT dataset, network, first_table, table_name, max(block_num) AS block_num
     FROM (
       SELECT *, min(table_name) OVER (PARTITION BY dataset, network, block_num, hash) AS first_table FROM entries
     ) linked
     WHERE first_table <> table_name
     GROUP BY dataset, network, first_table, table_name
   ), joined AS (
     (SELECT DISTINCT ON (dataset, network) dataset, network, ARRAY[table_name] AS tables, block_num
      FROM entries ORDER BY dataset, network, table_name, block_num DESC)
     UNION ALL
     SELECT j.dataset, j.network, j.tables || next.table_name, least(j.block_num, next.block_num)
     FROM joined j CROSS JOIN LATERAL (
       SELECT CASE WHEN s.first_table = ANY(j.tables) THEN s.table_name ELSE s.first_table END AS table_name, s.block_num
       FROM shared s
       WHERE s.dataset = j.dataset AND s.network = j.network
         AND (s.first_table = ANY(j.tables)) <> (s.table_name = ANY(j.tables))
       ORDER BY s.block_num DESC LIMIT 1
     ) next
   )
   SELECT d.dataset, d.network, latest.block_num, latest.hash, d.tables
   FROM datasets d
   JOIN joined j ON j.dataset = d.dataset AND j.network = d.network AND cardinality(j.tables) = cardinality(d.tables)
   CROSS JOIN LATERAL (
     SELECT e.block_num, e.hash FROM entries e
     WHERE e.dataset = d.dataset AND e.network = d.network AND e.block_num <= j.block_num
     GROUP BY e.block_num, e.hash HAVING count(*) FILTER (WHERE e.by_range) = d.by_range
     ORDER BY e.block_num DESC LIMIT 1
   ) latest`
