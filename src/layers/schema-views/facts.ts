/** Reads from the catalog what a publication needs to know. */
import { Effect } from "effect"
import type { FoundSource, FoundTarget, ViewFacts } from "../../domain/publish/ViewFacts.ts"
import { SHOWN_BOOKKEEPING, type ViewRequest } from "../../domain/publish/ViewRequest.ts"
import type { RunStatement } from "../../services/PgPool.ts"

/** The columns of `c`, with the types that `CREATE OR REPLACE VIEW` compares. */
const COLUMNS = `
  to_jsonb(ARRAY(
    SELECT jsonb_build_object('name', a.attname, 'comment', col_description(c.oid, a.attnum),
      'type', format_type(a.atttypid, a.atttypmod) || coalesce((
        SELECT format(' COLLATE %I', l.collname) FROM pg_collation l
        WHERE l.oid = a.attcollation AND l.collname <> 'default'), ''))
    FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
  )) AS columns`

const SCHEMAS = `
  SELECT current_user::text AS role, n.oid IS NOT NULL AS "schemaExists",
    CASE WHEN n.oid IS NULL THEN has_database_privilege(current_database(), 'CREATE')
      ELSE has_schema_privilege(n.oid, 'USAGE') AND has_schema_privilege(n.oid, 'CREATE') END AS "mayCreate"
  FROM (SELECT) AS one LEFT JOIN pg_namespace n ON n.nspname = $1`

const SOURCES = `
  SELECT c.oid, c.relname::text AS name, obj_description(c.oid, 'pg_class') AS comment,
    has_schema_privilege(c.relnamespace, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') AS "isReadable", ${COLUMNS}
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $1 AND c.relname = ANY($2) AND c.relkind IN ('r', 'p', 'f', 'v')`

/** The view reads with the rights of those that read it, and not of its owner. */
const BY_INVOKER =
  "EXISTS (SELECT FROM unnest(c.reloptions) AS o (setting) WHERE o.setting ~* '^security_invoker=(t|y|on|1)')"

/** A view depends on what it reads through its rule. */
const TARGETS = `
  SELECT c.relname::text AS name, c.relkind::text AS kind, obj_description(c.oid, 'pg_class') AS comment, ${COLUMNS},
    to_jsonb(coalesce(c.reloptions, '{}')) AS options, pg_get_userbyid(c.relowner)::text AS owner,
    pg_has_role(c.relowner, 'USAGE') AS "isOwned",
    to_jsonb(ARRAY(
      SELECT DISTINCT jsonb_build_object('oid', s.oid::bigint, 'schema', sn.nspname)
      FROM pg_rewrite r JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
      JOIN pg_class s ON d.refclassid = 'pg_class'::regclass AND s.oid = d.refobjid AND s.oid <> c.oid
      JOIN pg_namespace sn ON sn.oid = s.relnamespace
      WHERE r.ev_class = c.oid
    )) AS reads,
    to_jsonb(ARRAY(
      SELECT DISTINCT format('view %I.%I', vn.nspname, v.relname)
      FROM pg_depend d JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
      JOIN pg_class v ON v.oid = r.ev_class AND v.oid <> c.oid JOIN pg_namespace vn ON vn.oid = v.relnamespace
      WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid
      UNION SELECT format('trigger %I', t.tgname) FROM pg_trigger t WHERE t.tgrelid = c.oid
      UNION SELECT format('rule %I', r.rulename) FROM pg_rewrite r WHERE r.ev_class = c.oid AND r.rulename <> '_RETURN'
      ORDER BY 1
    )) AS dependents,
    to_jsonb(ARRAY(
      SELECT jsonb_build_object('column', g.attname, 'statement', format('GRANT %s%s ON %I.%I TO %s%s', g.privilege_type,
        coalesce(' (' || quote_ident(g.attname) || ')', ''), n.nspname, c.relname,
        CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END,
        CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END))
      FROM (
        SELECT NULL::name AS attname, e.* FROM aclexplode(c.relacl) e
        UNION ALL
        SELECT a.attname, e.* FROM pg_attribute a CROSS JOIN aclexplode(a.attacl) e WHERE a.attrelid = c.oid
      ) g WHERE g.grantee <> c.relowner
    )) AS grants,
    to_jsonb(ARRAY(
      SELECT pg_get_userbyid(who.role)::text FROM (
          SELECT c.relowner AS role WHERE NOT ${BY_INVOKER}
          UNION SELECT acl.grantee FROM aclexplode(c.relacl) acl
          WHERE ${BY_INVOKER} AND acl.privilege_type = 'SELECT' AND acl.grantee <> 0
        ) who CROSS JOIN pg_class s JOIN pg_namespace sn ON sn.oid = s.relnamespace
      WHERE sn.nspname = $3 AND s.relname = c.relname AND NOT (
        has_schema_privilege(who.role, sn.oid, 'USAGE') AND has_any_column_privilege(who.role, s.oid, 'SELECT'))
      ORDER BY 1)) AS unable
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $1 AND (c.relname = ANY($2) OR c.relkind = 'v' AND
    obj_description(c.oid, 'pg_class') LIKE '%(published by ampsync from schema "%')`

export const readViewFacts = Effect.fnUntraced(function*(run: RunStatement, { as, from, tables }: ViewRequest) {
  const names = [...tables, ...SHOWN_BOOKKEEPING]
  const [schemas] = yield* run<Pick<ViewFacts, "mayCreate" | "role" | "schemaExists">>(SCHEMAS, [as])
  const sources = yield* run<FoundSource>(SOURCES, [from, names])
  const targets = yield* run<FoundTarget>(TARGETS, [as, names, from])
  return { ...schemas!, sources, targets } satisfies ViewFacts as ViewFacts
})
