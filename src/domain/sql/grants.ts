/** The least rights of a sync and of its readers, as a script of SQL. */
import { quoteIdentifier } from "../postgres/table/identifiers.ts"
import { textLiteral, textsLiteral } from "./literal.ts"

/** The roles, and what they have rights on. */
export interface Grants {
  readonly database: string
  readonly schema: string
  /** The tables of the config. */
  readonly tables: ReadonlyArray<string>
  /** The role that a sync connects with. */
  readonly writer: string
  /** The role of those who may only read. */
  readonly reader: string
  /** Another role that owns tables of the sync; undefined where the sync makes them itself. */
  readonly owner: string | undefined
}

/** The script, which may be repeated: it leaves what is there as it is, and names no password. */
export const grantsScript = ({ database, owner, reader, schema, tables, writer }: Grants): string => {
  const [from, sync, readers] = [quoteIdentifier(schema), quoteIdentifier(writer), quoteIdentifier(reader)]
  return [
    ...comment(
      `Rights of a sync and of its readers in schema ${from} of database ${quoteIdentifier(database)}.`,
      "Run it there as a superuser. It may be repeated, and has to be where another role made tables since."
    ),
    "",
    ...comment("Without passwords: set them with ALTER ROLE ... PASSWORD, or \\password of psql."),
    ...block([
      `FOREACH role IN ARRAY ${textsLiteral([writer, reader])} LOOP`,
      "  IF to_regrole(quote_ident(role)) IS NULL THEN EXECUTE format('CREATE ROLE %I LOGIN', role); END IF;",
      "  IF NOT has_database_privilege(role, current_database(), 'CONNECT') THEN",
      "    EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), role);",
      "  END IF;",
      "END LOOP;"
    ], "role text;"),
    "",
    ...comment(
      "A sync makes its tables, their indexes and the bookkeeping here, or publish makes its views, and this role owns them.",
      "CREATE may be revoked while nothing new is to be made."
    ),
    `CREATE SCHEMA IF NOT EXISTS ${from};`,
    `GRANT USAGE, CREATE ON SCHEMA ${from} TO ${sync};`,
    "",
    ...comment("Readers see all that is synced or published here, also what comes later, and change nothing."),
    `GRANT USAGE ON SCHEMA ${from} TO ${readers};`,
    `ALTER DEFAULT PRIVILEGES FOR ROLE ${sync} IN SCHEMA ${from} GRANT SELECT ON TABLES TO ${readers};`,
    "",
    ...comment(
      "What exists already. The sync needs no grant on what it owns, and may write the rows of what others own."
    ),
    ...block([
      `FOR relation IN SELECT relname AS name, relowner = ${textLiteral(sync)}::regrole AS is_own FROM pg_class`,
      `  WHERE relnamespace = ${textLiteral(from)}::regnamespace AND relkind IN ('r', 'p', 'v')`,
      `  AND (relname = ANY(${textsLiteral(tables)}) OR starts_with(relname, '_ampsync_'))`,
      "LOOP",
      `  EXECUTE format('GRANT SELECT ON TABLE %I.%I TO %I', ${textLiteral(schema)}, relation.name, ${
        textLiteral(reader)
      });`,
      "  IF NOT relation.is_own THEN",
      "    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE %I.%I TO %I',",
      `      ${textLiteral(schema)}, relation.name, ${textLiteral(writer)});`,
      "  END IF;",
      "END LOOP;"
    ], "relation record;"),
    "",
    ...ownersPart(owner, { from, readers, sync })
  ].join("\n")
}

const ownersPart = (
  owner: string | undefined,
  { from, readers, sync }: { readonly from: string; readonly readers: string; readonly sync: string }
): ReadonlyArray<string> => {
  const why = [
    "New columns, comments, indexes and partitions of a table need the rights of its owner, which a member of that role has"
  ]
  if (owner === undefined) {
    return comment(...why, `(--owner prints this for a role): GRANT <owner> TO ${sync};`)
  }
  const other = quoteIdentifier(owner)
  return [
    ...comment(`${why[0]}.`),
    `GRANT ${other} TO ${sync};`,
    `ALTER DEFAULT PRIVILEGES FOR ROLE ${other} IN SCHEMA ${from} GRANT SELECT ON TABLES TO ${readers};`,
    `ALTER DEFAULT PRIVILEGES FOR ROLE ${other} IN SCHEMA ${from} GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO ${sync};`
  ]
}

/** A name may contain a line break, which would end the comment. */
const comment = (...lines: ReadonlyArray<string>): ReadonlyArray<string> =>
  // oxlint-disable-next-line eslint/no-control-regex
  lines.map((line) => `-- ${line.replace(/[\u0000-\u001f\u007f]+/g, " ")}`)

/** An anonymous block; its quotes are ones that no name in it contains. */
const block = (statements: ReadonlyArray<string>, declaration?: string): ReadonlyArray<string> => {
  const text = statements.join("\n")
  let quote = "$$"
  for (let n = 1; text.includes(quote); n += 1) quote = `$grants${n}$`
  return [
    `DO ${quote} ${declaration === undefined ? "" : `DECLARE ${declaration} `}BEGIN`,
    ...statements.map((statement) => `  ${statement}`),
    `END ${quote};`
  ]
}
