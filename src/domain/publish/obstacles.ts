/** What keeps a publication from being made, whatever the columns are: rights, and objects that are not its own. */
import { quoteIdentifier } from "../postgres/table/identifiers.ts"
import { qualifiedName } from "../postgres/table/tableDdl.ts"
import { isPublished } from "./marker.ts"
import type { ViewFacts } from "./ViewFacts.ts"
import type { ViewRequest } from "./ViewRequest.ts"

/** By `pg_class.relkind`. */
const kinds: Readonly<Record<string, string>> = {
  c: "type",
  f: "foreign table",
  i: "index",
  m: "materialized view",
  p: "table",
  r: "table",
  S: "sequence"
}

/** The statements after which a role may read a table. */
const grantsOf = (schema: string, table: string, role: string): string =>
  `GRANT USAGE ON SCHEMA ${quoteIdentifier(schema)} TO ${quoteIdentifier(role)}; ` +
  `GRANT SELECT ON ${qualifiedName({ schema, table })} TO ${quoteIdentifier(role)}`

/** Each a sentence, with the statement that removes it where there is one. */
export const obstaclesOf = ({ as, from }: ViewRequest, facts: ViewFacts): ReadonlyArray<string> => {
  const role = quoteIdentifier(facts.role)
  const schema = quoteIdentifier(as)
  return [
    ...(facts.mayCreate ? [] : [
      facts.schemaExists
        ? `this role may not create views in schema "${as}"; run: GRANT USAGE, CREATE ON SCHEMA ${schema} TO ${role}`
        : `schema "${as}" does not exist, and this role may not create it; run: CREATE SCHEMA ${schema} AUTHORIZATION ${role}`
    ]),
    ...facts.sources.filter(({ isReadable }) => !isReadable).map(({ name }) => {
      const source = qualifiedName({ schema: from, table: name })
      return `this role may not read ${source}; run: ${grantsOf(from, name, facts.role)}`
    }),
    ...facts.targets.flatMap((target) => {
      const { kind, name, owner } = target
      if (!isPublished(target)) {
        return [
          kind === "v"
            ? `view "${name}" in schema "${as}" was not made by this command, or its comment was changed`
            : `${kinds[kind] ?? "object"} "${name}" in schema "${as}" was not made by this command`
        ]
      }
      if (!target.isOwned) {
        return [
          `view "${name}" in schema "${as}" belongs to role "${owner}"; run: GRANT ${quoteIdentifier(owner)} TO ${role}`
        ]
      }
      return target.unable.map((reader) =>
        `view "${name}" in schema "${as}" reads with the rights of role "${reader}", which may not read ` +
        `${qualifiedName({ schema: from, table: name })}; run: ${grantsOf(from, name, reader)}`
      )
    })
  ]
}
